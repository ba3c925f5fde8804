using LlamaCluster.Planning.Plans;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>Plans and their parts as messages, and back. What comes back is checked in full.</summary>
public static class PlanMapping
{
    public static Wire.Plan ToMessage(this ClusterPlan plan) => new()
    {
        ViewVersion = plan.ViewVersion,
        ModelName = plan.ModelName,
        ModelDigest = plan.ModelDigest,
        LayerCount = (uint)plan.LayerCount,
        StageCount = (uint)plan.StageCount,
        Assignments = { plan.Assignments.Select(ToMessage) },
    };

    public static Wire.Shard ToMessage(this Shard shard) => new()
    {
        FirstLayer = (uint)shard.Layers.First,
        LayerCount = (uint)shard.Layers.Count,
        Rank = (uint)shard.Slice.Rank,
        RankCount = (uint)shard.Slice.RankCount,
        RankShares = { shard.Slice.Shares.AreEqual ? [] : shard.Slice.Shares.Values.Select(share => (uint)share) },
        WholeExperts = shard.Slice.Shares.WholeExperts,
    };

    /// <exception cref="InvalidMessageException">A field is out of range, or the whole breaks a rule of <see cref="PlanRules"/>.</exception>
    public static ClusterPlan ToPlan(this Wire.Plan message)
    {
        var layers = Field.Count("plan.layer_count", message.LayerCount, 1, PlanRules.MaxLayers);
        Field.Count("plan.assignments", message.Assignments.Count, 1, PlanRules.MaxAssignments);
        Field.Text("plan.model_name", message.ModelName, PlanRules.MaxNameLength);
        ShardAssignment[] assignments = [.. message.Assignments.Select(ToAssignment)];
        if (PlanRules.FirstProblem(message.ViewVersion, message.ModelName, message.ModelDigest, layers, assignments) is { } problem)
            throw new InvalidMessageException($"plan: {problem}");
        var plan = ClusterPlan.Create(message.ViewVersion, message.ModelName, message.ModelDigest, layers, assignments);
        return plan.StageCount == message.StageCount
            ? plan
            : throw new InvalidMessageException($"plan.stage_count is {message.StageCount}, but {plan.StageCount} stages are assigned");
    }

    /// <exception cref="InvalidMessageException">A field is out of range.</exception>
    public static Shard ToShard(this Wire.Shard message)
    {
        var first = Field.Count("shard.first_layer", message.FirstLayer, 0, PlanRules.MaxLayers - 1);
        var count = Field.Count("shard.layer_count", message.LayerCount, 1, PlanRules.MaxLayers - first);
        var ranks = Field.Count("shard.rank_count", message.RankCount, 1, RankShares.MaxRanks);
        var rank = Field.Count("shard.rank", message.Rank, 0, ranks - 1);
        return new Shard(new LayerRange(first, count), new TensorSlice(rank, ToShares(message.RankShares, ranks).WithExperts(message.WholeExperts)));
    }

    static RankShares ToShares(IReadOnlyList<uint> shares, int ranks)
    {
        if (shares.Count == 0) return RankShares.Equal(ranks);
        if (shares.Count != ranks) throw new InvalidMessageException($"shard.rank_shares has {shares.Count} entries, for {ranks} ranks");
        return RankShares.Of([.. shares.Select(share => Field.Count("shard.rank_shares", share, 1, RankShares.MaxShare))]);
    }

    static Wire.Assignment ToMessage(ShardAssignment assignment) => new()
    {
        WorkerId = assignment.Worker.Value,
        Address = PeerAddress.Format(assignment.Address),
        Stage = (uint)assignment.Stage,
        Shard = assignment.Shard.ToMessage(),
    };

    static ShardAssignment ToAssignment(Wire.Assignment message) => new(
        Field.Worker("assignment.worker_id", message.WorkerId),
        Field.Address("assignment.address", message.Address),
        Field.Count("assignment.stage", message.Stage, 0, PlanRules.MaxAssignments - 1),
        Field.Required("assignment.shard", message.Shard).ToShard());
}
