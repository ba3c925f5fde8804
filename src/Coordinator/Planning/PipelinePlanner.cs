using LlamaCluster.Cluster.Plans;
using LlamaCluster.Coordinator.Membership;

namespace LlamaCluster.Coordinator.Planning;

/// <summary>
/// Assigns contiguous layer ranges to workers, one stage each, in the order of the workers; more workers than layers leaves the last
/// ones spare. Pure and deterministic.
/// <para>
/// A pipeline goes at the pace of its slowest stage, and a stage at the pace at which it reads its weights. So first the slowest
/// stage is made as fast as it can be, then, within that, the stages as equal as they can be. A worker's pace is its measured
/// memory bandwidth; where one was not measured, its threads; where one did not say, all count the same. A range that does not fit
/// its worker's memory beside the least KV space is not considered.
/// </para>
/// </summary>
public static class PipelinePlanner
{
    /// <summary>What a stage takes in memory for each byte of its weights: packing pads rows.</summary>
    const double Resident = 1.1;

    public static PlanOutcome Plan(PlanRequest request)
    {
        if (request.TensorParallel > 1) return new PlanOutcome.Refused("--tensor-parallel above 1 is not supported yet");
        var model = request.Footprint;
        Member[] workers = [.. request.Workers.Take(model.LayerCount)];
        if (workers.Length == 0) return new PlanOutcome.Refused("there are no workers");
        if (Divide(request, workers) is not { } counts) return new PlanOutcome.Refused(DoesNotFit(request, workers));

        var assignments = new ShardAssignment[workers.Length];
        var kvBlocks = request.KvBlocks;
        for (var (stage, first) = (0, 0); stage < workers.Length; first += counts[stage++])
        {
            var shard = new Shard(new LayerRange(first, counts[stage]), TensorSlice.Whole);
            assignments[stage] = new ShardAssignment(workers[stage].Id, workers[stage].Address, stage, shard);
            kvBlocks = (int)Math.Min(kvBlocks, KvRoom(request, workers[stage], first, counts[stage]));
        }
        return new PlanOutcome.Planned(
            ClusterPlan.Create(request.ViewVersion, request.Model.Name, request.Model.Digest, model.LayerCount, assignments), kvBlocks);
    }

    /// <returns>Layers per worker; null if the model does not fit them.</returns>
    static int[]? Divide(PlanRequest request, Member[] workers)
    {
        var (model, paces) = (request.Footprint, Paces(workers));
        double Time(int stage, int first, int count) => KvRoom(request, workers[stage], first, count) < request.MinKvBlocks
            ? double.PositiveInfinity
            : model.BytesPerStep(first, count) / paces[stage];

        if (LayerDivision.Best(model.LayerCount, workers.Length, Time, Math.Max) is not (_, var slowest)) return null;
        return LayerDivision.Best(model.LayerCount, workers.Length, (stage, first, count) =>
        {
            var time = Time(stage, first, count);
            return time > slowest ? double.PositiveInfinity : paces[stage] * time * time;
        }, (sofar, own) => sofar + own)?.Counts;
    }

    static double[] Paces(Member[] workers)
    {
        if (workers.All(worker => worker.Capabilities.MemoryReadBytesPerSecond > 0)) return [.. workers.Select(worker => worker.Capabilities.MemoryReadBytesPerSecond)];
        if (workers.All(worker => worker.Capabilities.Threads > 0)) return [.. workers.Select(worker => (double)worker.Capabilities.Threads)];
        return [.. workers.Select(_ => 1.0)];
    }

    /// <summary>KV blocks that a worker has memory for beside the weights of these layers; negative if not even those fit.</summary>
    static long KvRoom(PlanRequest request, Member worker, int firstLayer, int layerCount)
    {
        if (worker.Capabilities.MemoryBytes == 0) return long.MaxValue;
        var model = request.Footprint;
        var left = worker.Capabilities.MemoryBytes - request.BufferBytes - (long)(model.WeightBytes(firstLayer, layerCount) * Resident);
        return left < 0 ? -1 : left / (model.KvBlockBytes * layerCount);
    }

    static string DoesNotFit(PlanRequest request, Member[] workers)
    {
        var model = request.Footprint;
        var weights = model.WeightBytes(0, model.LayerCount) * Resident;
        var kv = (double)request.MinKvBlocks * model.KvBlockBytes * model.LayerCount;
        var memory = string.Join(", ", workers.Select(worker => $"{worker.Name} {Gigabytes(worker.Capabilities.MemoryBytes)}"));
        return $"the model does not fit: it needs about {Gigabytes(weights)} for weights and at least {Gigabytes(kv)} for KV, in whole layers, "
            + $"and {Gigabytes(request.BufferBytes)} for buffers on each worker, but they have {memory}";
    }

    static string Gigabytes(double bytes) => $"{bytes / 1e9:0.00} GB";
}
