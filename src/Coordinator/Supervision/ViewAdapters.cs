using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>
/// Sees to it that the workers of the view that runs hold the adapters that there are, also when these change.
/// <para>
/// Workers get the adapters of a moment with the order to load their shards. What has changed since then they are told before the view runs
/// (<see cref="BeginAsync"/>), and later whenever it changes (<see cref="DeliverAsync"/>): always the whole set. A change is made first, and then it is looked
/// which view there is; a view is made known first, and then it is looked whether there was a change. So none is missed. A set that a worker has or comes to
/// have is kept meanwhile, so that it can fetch all of it.
/// </para>
/// </summary>
public sealed class ViewAdapters(
    AdapterRegistry adapters, WorkerRegistry members, SettledOwnership ownership, AssignmentCaller assignments, ClusterDeadlines deadlines, TimeProvider time)
{
    /// <summary>How long to wait before a worker that did not answer is told again.</summary>
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    readonly SemaphoreSlim _turn = new(1);
    volatile Told? _view;

    /// <summary>The workers of a view have loaded their shards.</summary>
    /// <param name="version">Of the adapters that they have loaded beside them.</param>
    /// <returns>Why the view cannot run; null: it can.</returns>
    public async Task<PipelineFailure?> BeginAsync(ulong view, IReadOnlyList<StageWorker> workers, ulong version, CancellationToken cancellation)
    {
        _view = new Told(view, workers, version);
        return adapters.Now.Version == version ? null : await DeliverAsync(() => true, cancellation);
    }

    /// <summary>
    /// Tells the workers of the view that runs which adapters there are now, if they do not know. Workers of a later view know by its orders.
    /// </summary>
    /// <returns>Why they do not have them; null: they have, or no view runs.</returns>
    public Task<PipelineFailure?> DeliverAsync(CancellationToken cancellation) =>
        DeliverAsync(() => members.Snapshot.Plan?.ViewVersion == _view?.ViewVersion, cancellation);

    /// <param name="runs">Whether the view is still wanted.</param>
    async Task<PipelineFailure?> DeliverAsync(Func<bool> runs, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var since = time.GetTimestamp();
            PipelineFailure? failure = null;
            while (_view is { } view && runs())
            {
                using var hold = adapters.Hold();
                if (hold.Set.Version == view.Version) return null;
                failure = await assignments.SetAdaptersAsync(view.ViewVersion, ownership.Value.Epoch, hold.Set, view.Workers, cancellation);
                if (failure is null) Interlocked.CompareExchange(ref _view, view with { Version = hold.Set.Version }, view);
                // A worker that is gone ends its view soon; one that was out of reach for a moment does not.
                else if (!failure.WorkerLost || time.GetElapsedTime(since) > deadlines.LoadSilence) return runs() ? failure : null;
                else await time.DelayAsync(Pause, cancellation);
            }
            return null;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <param name="Version">Of the adapters that all of them have.</param>
    sealed record Told(ulong ViewVersion, IReadOnlyList<StageWorker> Workers, ulong Version);
}
