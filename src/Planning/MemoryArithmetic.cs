using System.Globalization;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning;

/// <summary>Says in numbers why a model does not fit a cluster.</summary>
static class MemoryArithmetic
{
    const int MostKinds = 4;

    public static string DoesNotFit(PlanningProblem problem)
    {
        var (model, goal, cluster) = (problem.Model, problem.Goal, problem.Cluster);
        var weights = HeldBytes(model, cluster.Workers.Count) * problem.Overheads.Resident;
        var kv = goal.KvBlocks * model.KvBlockBytesOfAll;
        var buffers = (double)goal.BufferBytes * cluster.Workers.Count;
        var known = cluster.Workers.Where(worker => worker.MemoryBytes > 0).ToList();
        var line = $"the model does not fit: {Gigabytes(weights)} of weights + {Gigabytes(kv)} of KV cache"
            + $" + {cluster.Workers.Count} x {Gigabytes(goal.BufferBytes)} of buffers"
            + $" = {Gigabytes(weights + kv + buffers)}, but the workers have {Memories(problem)}";
        if (weights + kv + buffers > known.Sum(worker => (double)worker.MemoryBytes)) return line;
        var ranks = Math.Min(goal.RanksPerStage ?? 1, problem.MaxRanks);
        var layer = StageGroup.Of(problem, [.. Enumerable.Range(0, ranks)], problem.WithExperts(RankShares.Equal(ranks), problem.ExpertCuts[0]));
        var (first, middle) = (layer.MemoryOf(0, 0, 1).Total, layer.MemoryOf(0, Math.Min(1, model.LayerCount - 1), 1).Total);
        return $"{line}: in whole layers of {Gigabytes(middle)} (the first with the embedding: {Gigabytes(first)}) there is no way to share them out";
    }

    /// <summary>The weights that all workers hold together. If layers share weights, each worker holds one layer of each kind.</summary>
    static double HeldBytes(ModelFootprint model, int workers)
    {
        if (!model.LayersAreAlike) return model.Bytes;
        var kinds = model.Layers.ToLookup(layer => (layer.Experts is not null, layer.Split));
        return model.Bytes - kinds.Sum(kind => (kind.Count() - Math.Min(workers, kind.Count())) * kind.First().Bytes);
    }

    static string Memories(PlanningProblem problem)
    {
        var kinds = problem.Cluster.Workers.CountBy(worker => worker.MemoryBytes).ToList();
        var shown = kinds.Take(MostKinds).Select(kind => $"{kind.Value} x {(kind.Key > 0 ? Gigabytes(kind.Key) : "unknown")}");
        var total = Gigabytes(problem.Cluster.Workers.Sum(worker => (double)worker.MemoryBytes));
        return $"{string.Join(" + ", shown)}{(kinds.Count > MostKinds ? " + ..." : "")} = {total}";
    }

    static string Gigabytes(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB");
}
