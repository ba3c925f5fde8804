using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Testing;

/// <summary>Plans for tests: stage by stage, with the ranks of each.</summary>
public static class PlanBuilder
{
    public static readonly string Digest = new('a', ModelIdentity.DigestLength);

    public static ShardAssignment[] Assignments(int layers, params int[] ranks)
    {
        var ranges = LayerSplit.Even(layers, ranks.Length);
        return [.. ranks.SelectMany((count, stage) => Enumerable.Range(0, count).Select(rank => new ShardAssignment(
            new WorkerId($"w{stage}-{rank}"), new Uri($"http://10.0.{stage}.{rank}:7000"), stage, new Shard(ranges[stage], new TensorSlice(rank, count)))))];
    }

    public static ClusterPlan Plan(int layers, params int[] ranks) => ClusterPlan.Create(7, "demo", Digest, layers, Assignments(layers, ranks));
}
