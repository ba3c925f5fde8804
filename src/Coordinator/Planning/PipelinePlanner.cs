using LlamaCluster.Cluster.Plans;
using LlamaCluster.Coordinator.Membership;

namespace LlamaCluster.Coordinator.Planning;

/// <summary>
/// Assigns contiguous layer ranges to stages of as many workers as are asked for, in the order of the workers; what does not divide evenly
/// leaves a smaller last stage, more stages than layers leave the last workers spare. Ranks of a stage get equal shares. Pure and deterministic.
/// <para>
/// A pipeline goes at the pace of its slowest stage, and a stage at the pace at which it reads its weights. So first the slowest
/// stage is made as fast as it can be, then, within that, the stages as equal as they can be. A worker's pace is its measured
/// memory bandwidth; where one was not measured, its threads; where one did not say, all count the same; a stage goes at that of its slowest
/// rank. A range that does not fit its workers' memory beside the least KV space is not considered.
/// </para>
/// </summary>
public static class PipelinePlanner
{
    /// <summary>What a stage takes in memory for each byte of its weights: packing pads rows.</summary>
    const double Resident = 1.1;

    public static PlanOutcome Plan(PlanRequest request)
    {
        var model = request.Footprint;
        Member[][] stages = [.. request.Workers.Chunk(request.TensorParallel).Take(model.LayerCount)];
        if (stages.Length == 0) return new PlanOutcome.Refused("there are no workers");
        Member[] workers = [.. stages.SelectMany(ranks => ranks)];
        if (Divide(request, stages) is not { } counts) return new PlanOutcome.Refused(DoesNotFit(request, workers));

        var assignments = new List<ShardAssignment>();
        var kvBlocks = request.KvBlocks;
        for (var (stage, first) = (0, 0); stage < stages.Length; first += counts[stage++])
        {
            var layers = new LayerRange(first, counts[stage]);
            foreach (var (rank, worker) in stages[stage].Index())
                assignments.Add(new ShardAssignment(worker.Id, worker.Address, stage, new Shard(layers, new TensorSlice(rank, stages[stage].Length))));
            kvBlocks = (int)Math.Min(kvBlocks, KvRoom(request, stages[stage], first, counts[stage]));
        }
        return new PlanOutcome.Planned(
            ClusterPlan.Create(request.ViewVersion, request.Model.Name, request.Model.Digest, model.LayerCount, assignments), kvBlocks);
    }

    /// <returns>Layers per stage; null if the model does not fit them.</returns>
    static int[]? Divide(PlanRequest request, Member[][] stages)
    {
        var model = request.Footprint;
        var all = Paces([.. stages.SelectMany(ranks => ranks)]);
        double[] paces = [.. stages.Select((ranks, stage) => ranks.Length * all.AsSpan(stage * request.TensorParallel, ranks.Length).ToArray().Min())];
        double Time(int stage, int first, int count) => KvRoom(request, stages[stage], first, count) < request.MinKvBlocks
            ? double.PositiveInfinity
            : model.BytesPerStep(first, count) / paces[stage];

        if (LayerDivision.Best(model.LayerCount, stages.Length, Time, Math.Max) is not (_, var slowest)) return null;
        return LayerDivision.Best(model.LayerCount, stages.Length, (stage, first, count) =>
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

    /// <summary>KV blocks that all ranks of a stage have memory for beside the weights of these layers; negative if not even those fit.</summary>
    static long KvRoom(PlanRequest request, Member[] ranks, int firstLayer, int layerCount) =>
        ranks.Min(worker => worker.Capabilities.MemoryBytes == 0 ? long.MaxValue : KvRoom(request, worker.Capabilities.MemoryBytes, ranks.Length, firstLayer, layerCount));

    static long KvRoom(PlanRequest request, long memory, int ranks, int firstLayer, int layerCount)
    {
        var model = request.Footprint;
        var embedding = firstLayer == 0 ? model.EmbeddingBytes : 0;   // every rank of the first stage has all of it
        var weights = ranks == 1 ? model.WeightBytes(firstLayer, layerCount) : embedding + model.BytesPerStep(firstLayer, layerCount) / ranks;
        var left = memory - request.BufferBytes - (long)(weights * Resident);
        return left < 0 ? -1 : left / (model.KvBlockBytes * layerCount / ranks);
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
