using System.Threading.Channels;

namespace LlamaCluster.Worker.Loading;

/// <summary>A flag that says that something has changed since it was last cleared.</summary>
sealed class StateSignal
{
    readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Set() => _changes.Writer.TryWrite(true);

    /// <summary>To be called before one looks: whatever changes later sets the flag again.</summary>
    public void Clear() => _changes.Reader.TryRead(out _);

    /// <summary>Completes once the flag is set.</summary>
    public Task WaitAsync(CancellationToken cancellation) => _changes.Reader.WaitToReadAsync(cancellation).AsTask();
}
