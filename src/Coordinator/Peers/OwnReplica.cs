using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Replicas;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>This coordinator's replica, for its own router and for other coordinators. Safe for concurrent use.</summary>
sealed class OwnReplica(Replica replica, EngineOptions options, CoordinatorMetrics metrics, PrefixNews news) : IReplica, IDisposable
{
    readonly LossToken _lost = new();

    public string Name => replica.Name;

    public EngineStatus Status => replica.Status;

    public CancellationToken Lost => _lost.Token;

    public ReplicaUse Use
    {
        get
        {
            var levels = metrics.LevelsOf(replica.Name);
            var free = levels.BlocksFree + levels.BlocksCached;
            return new ReplicaUse(levels.Running, levels.Waiting, options.MaxRunning, free + levels.BlocksHeld, free);
        }
    }

    /// <param name="epoch">Of this coordinator as its owner.</param>
    public ReplicaSummary SummaryAt(ulong epoch) => new(
        Name, epoch, null, null, IsOwn: true, ReplicaSummary.StateOf(Status), Status.Reason, Status.ViewVersion,
        Use.Running, Use.Waiting, Use.Blocks, Use.FreeBlocks);

    public IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Run(IReadOnlyList<SequenceRequest> requests, RoutedPrompt prompt)
    {
        news.Add(prompt.Marks);
        return [.. replica.Submit(requests).Select(stream => ReadAsync(stream, CancellationToken.None))];
    }

    /// <summary>Its sequences are to go on elsewhere, or it is well again.</summary>
    public void SetLost(bool isLost) => _lost.Set(isLost);

    public void Dispose() => _lost.Dispose();

    async IAsyncEnumerable<SequenceEvent> ReadAsync(SequenceStream stream, [EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            await foreach (var next in stream.ReadAllAsync(cancellation)) yield return next;
        }
        finally
        {
            replica.Abandon(stream);
        }
    }
}

/// <summary>A token that is cancelled while something is lost, and replaced when it is back.</summary>
sealed class LossToken : IDisposable
{
    readonly Lock _lock = new();
    CancellationTokenSource _source = new();
    bool _disposed;

    public CancellationToken Token
    {
        get
        {
            lock (_lock) return _disposed ? new CancellationToken(canceled: true) : _source.Token;
        }
    }

    public void Set(bool isLost)
    {
        CancellationTokenSource source;
        lock (_lock)
        {
            if (_disposed || _source.IsCancellationRequested == isLost) return;
            if (!isLost)
            {
                _source = new CancellationTokenSource();   // the old one was cancelled and has no timer: there is nothing to dispose of
                return;
            }
            source = _source;
        }
        source.Cancel();   // outside of the lock: whoever waits goes on here
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
        }
        _source.Cancel();
        _source.Dispose();
    }
}
