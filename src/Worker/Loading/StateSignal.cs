using System.Threading.Channels;

namespace LlamaCluster.Worker.Loading;

/// <summary>Says that something changed, until whoever minds it has looked.</summary>
sealed class StateSignal
{
    readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Set() => _changes.Writer.TryWrite(true);

    /// <summary>To be called before looking: what changes later is a new change.</summary>
    public void Clear() => _changes.Reader.TryRead(out _);

    /// <summary>Completes once there is a change that was not cleared.</summary>
    public Task WaitAsync(CancellationToken cancellation) => _changes.Reader.WaitToReadAsync(cancellation).AsTask();
}
