using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>
/// Finds workers that fail the same way again and again with the same shard: as they load it, or as they compute with it. A worker that is gone has
/// not failed so. A step may fail because of a sequence, so steps count only when they fail more often than one sequence can make them, and soon after
/// one another.
/// </summary>
sealed class RepeatedFailures(TimeProvider time)
{
    const int MostLoads = 2;
    const int MostSteps = 4;

    /// <summary>What failed longer ago has nothing to do with it.</summary>
    static readonly TimeSpan InARow = TimeSpan.FromMinutes(10);

    readonly Dictionary<WorkerId, (Shard Shard, string How, int Times, bool InStep, long At)> _failures = [];

    /// <returns>Why the worker at fault should be set aside, in one line; null if it should not.</returns>
    public string? Add(PipelineFailure failure, ClusterPlan plan)
    {
        foreach (var gone in _failures.Keys.Where(worker => plan.Find(worker) is null).ToList()) _failures.Remove(gone);
        if (failure is not { WorkerLost: false, IsPlanned: false, Worker: { } worker } || plan.Find(worker) is not { } part) return null;
        var how = new string([.. failure.Message.Where(letter => !char.IsAsciiDigit(letter))]);   // views, steps and bytes differ
        var times = _failures.TryGetValue(worker, out var before) && before.Shard == part.Shard && before.How == how && time.GetElapsedTime(before.At) < InARow
            ? before.Times + 1 : 1;
        _failures[worker] = (part.Shard, how, times, failure.IsStepError, time.GetTimestamp());
        return times < (failure.IsStepError ? MostSteps : MostLoads) ? null : $"it failed {times} times in a row with {part.Shard}: {failure.Message}";
    }

    /// <summary>All workers of a view have loaded their shards.</summary>
    public void Loaded()
    {
        foreach (var (worker, _) in _failures.Where(failure => !failure.Value.InStep).ToList()) _failures.Remove(worker);
    }
}
