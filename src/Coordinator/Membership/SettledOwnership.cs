namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// What workers know this coordinator by: the id of their cluster, and the coordinator's epoch in it. Alone it has both from its data folder at once. One of
/// several coordinators gets them from the store that they share, and workers wait for that: an epoch that was made up meanwhile would fence nobody.
/// </summary>
public sealed class SettledOwnership(WorkerRegistry registry)
{
    /// <summary>Shorter than a worker's call waits for its answer.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    readonly TaskCompletionSource<ClusterOwnership> _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsSettled => _settled.Task.IsCompleted;

    /// <summary>Known wherever there are workers, since they register after it is.</summary>
    public ClusterOwnership Value => IsSettled
        ? _settled.Task.Result
        : throw new InvalidOperationException("workers are there before the coordinator's epoch is");

    /// <summary>What is known at once.</summary>
    public static SettledOwnership Now(WorkerRegistry registry, ClusterOwnership owned)
    {
        var settled = new SettledOwnership(registry);
        settled.Settle(owned);
        return settled;
    }

    /// <summary>To be called once, before any worker has registered.</summary>
    public void Settle(ClusterOwnership owned)
    {
        registry.BeginAbove(owned.ViewsBefore);
        _settled.TrySetResult(owned);
    }

    /// <returns>Null if it is not known soon.</returns>
    public async Task<ClusterOwnership?> WaitAsync(TimeProvider time, CancellationToken cancellation)
    {
        if (IsSettled) return Value;
        await Task.WhenAny(_settled.Task, Task.Delay(Patience, time, cancellation));
        cancellation.ThrowIfCancellationRequested();
        return IsSettled ? Value : null;
    }
}
