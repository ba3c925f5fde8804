using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>A worker's memory by its uses, in bytes.</summary>
/// <param name="Weights">The loaded weights.</param>
/// <param name="Kv">The KV cache of its layers and heads.</param>
public readonly record struct RankMemory(double Weights, double Kv, double Buffers)
{
    public double Total => Weights + Kv + Buffers;
}

/// <summary>Workers that share a stage, with each one's part of every layer, and the memory that it takes.</summary>
sealed class StageGroup
{
    readonly PlanningProblem _problem;
    readonly RankPart[] _parts;

    /// <summary>The ranks whose memory is limited; one for all ranks with the same part and the same memory.</summary>
    readonly int[] _limitedRanks;

    /// <summary>By first layer, computed on demand: the most layers from there that every rank has memory for.</summary>
    readonly int?[] _mostLayers;

    public StageGroup(PlanningProblem problem, int[] workers, RankShares shares, string kind)
    {
        (_problem, Workers, Shares, Kind) = (problem, workers, shares, kind);
        _parts = problem.PartsOf(shares);
        long Memory(int rank) => problem.Cluster.Workers[workers[rank]].MemoryBytes;
        _limitedRanks = [.. Enumerable.Range(0, workers.Length).Where(rank => Memory(rank) > 0).DistinctBy(rank => (_parts[rank], Memory(rank)))];
        _mostLayers = new int?[problem.Model.LayerCount];
    }

    public static StageGroup Of(PlanningProblem problem, int[] workers, RankShares shares) =>
        new(problem, workers, shares, problem.Cluster.GroupKindOf(workers));

    public int[] Workers { get; }

    public RankShares Shares { get; }

    /// <summary>Groups of like workers have the same; see <see cref="ClusterProfile.GroupKindOf"/>.</summary>
    public string Kind { get; }

    /// <summary>Of each rank.</summary>
    public IReadOnlyList<RankPart> Parts => _parts;

    /// <summary>Whether every rank has memory for its part of these layers (with embedding and head where they belong) and for the KV cache.</summary>
    public bool Holds(int first, int count) => count <= (_mostLayers[first] ??= MostLayers(first));

    public RankMemory MemoryOf(int rank, int first, int count)
    {
        var (model, part) = (_problem.Model, _parts[rank]);
        var (embeds, hasHead) = (first == 0, first + count == model.LayerCount);
        var (weights, kvBlock) = _problem.BytesOf(part, first, count);
        if (embeds) weights += model.Embedding.Bytes;
        // A tied head needs no memory beside the embedding.
        if (hasHead && !(embeds && model.TiedEmbeddings)) weights += model.Head.Bytes * part.Vocabulary;
        return new RankMemory(weights * _problem.Overheads.Resident, _problem.Goal.KvBlocks * kvBlock, _problem.Goal.BufferBytes);
    }

    /// <summary>A binary search: more layers never take less memory.</summary>
    int MostLayers(int first)
    {
        var (held, tooMany) = (0, _problem.Model.LayerCount - first + 1);
        while (tooMany - held > 1)
        {
            var count = (held + tooMany) / 2;
            if (HasMemoryFor(first, count)) held = count;
            else tooMany = count;
        }
        return held;
    }

    bool HasMemoryFor(int first, int count)
    {
        foreach (var rank in _limitedRanks)
            if (MemoryOf(rank, first, count).Total > _problem.Cluster.Workers[Workers[rank]].MemoryBytes) return false;
        return true;
    }
}
