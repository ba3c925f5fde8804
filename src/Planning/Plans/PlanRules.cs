namespace LlamaCluster.Planning.Plans;

/// <summary>
/// The rules that make a list of assignments a plan. Stages are numbered 0, 1, 2... and each has all of its ranks 0, 1, 2... The ranks of a stage hold
/// the same layers and know the same shares. The stages' ranges, in order, cover every layer once. No worker and no address occurs twice.
/// </summary>
public static class PlanRules
{
    public const int MaxLayers = 65_536;
    public const int MaxAssignments = 4_096;
    public const int MaxNameLength = 256;

    /// <summary>One line about the first broken rule; null if all rules hold.</summary>
    public static string? FirstProblem(
        ulong viewVersion, string modelName, string modelDigest, int layerCount, IReadOnlyList<ShardAssignment> assignments)
    {
        if (viewVersion == 0) return "view_version is 0, they start at 1";
        if (modelName.Length is 0 or > MaxNameLength) return $"model_name has {modelName.Length} characters, not 1 to {MaxNameLength}";
        if (!ModelIdentity.IsDigest(modelDigest)) return "model_digest is not 64 digits of lower-case hex";
        if (layerCount is < 1 or > MaxLayers) return $"layer_count is {layerCount}, not 1 to {MaxLayers}";
        if (assignments.Count is 0 or > MaxAssignments) return $"{assignments.Count} assignments, not 1 to {MaxAssignments}";
        return NamesProblem(assignments) ?? CoverProblem(layerCount, assignments);
    }

    static string? NamesProblem(IReadOnlyList<ShardAssignment> assignments)
    {
        var workers = new HashSet<WorkerId>();
        var addresses = new HashSet<Uri>();
        foreach (var (worker, address, _, _) in assignments)
        {
            if (!WorkerId.IsValid(worker.Value)) return "a worker_id is not 1 to 64 letters, digits, '-', '_' and '.'";
            if (!PeerAddress.IsValid(address)) return $"worker {worker} has no address like http://host:port";
            if (!workers.Add(worker)) return $"worker {worker} stands there twice";
            if (!addresses.Add(address)) return $"address {address} stands there twice";
        }
        return null;
    }

    static string? CoverProblem(int layerCount, IReadOnlyList<ShardAssignment> assignments)
    {
        var (stage, covered, index) = (0, 0, 0);
        while (index < assignments.Count)
        {
            var (layers, shares) = (assignments[index].Shard.Layers, assignments[index].Shard.Slice.Shares);
            var ranks = shares.Count;
            if (layers.First != covered) return $"stage {stage} starts at layer {layers.First}, not at {covered}";
            if (layers.Count < 1 || layers.Count > layerCount - covered) return $"stage {stage} has {layers.Count} layers, of {layerCount - covered} left";
            if (ranks > assignments.Count - index) return $"stage {stage} has {ranks} ranks, but {assignments.Count - index} assignments are left";
            for (var rank = 0; rank < ranks; rank++, index++)
            {
                var expected = new Shard(layers, new TensorSlice(rank, shares));
                if (assignments[index].Stage != stage || assignments[index].Shard != expected)
                    return $"assignment {index} is stage {assignments[index].Stage} with {Describe(assignments[index].Shard)}, "
                        + $"not stage {stage} with {Describe(expected)}";
            }
            (stage, covered) = (stage + 1, covered + layers.Count);
        }
        return covered == layerCount ? null : $"the stages hold {covered} layers of {layerCount}";
    }

    static string Describe(Shard shard)
    {
        var (layers, slice) = shard;
        var shares = slice.Shares is { AreEqual: true, WholeExperts: false } ? "" : $" ({slice.Shares})";
        return $"{layers.Count} layers from {layers.First}, rank {slice.Rank} of {slice.RankCount}{shares}";
    }
}
