using LlamaCluster.Coordinator.Supervision;

namespace LlamaCluster.Cli.Up;

/// <summary>Which shard of which worker, for people.</summary>
static class ShardText
{
    public static string Of(ShardProgress shard) => $"{shard.WorkerName}, stage {shard.Stage}, layers {shard.Layers.First} to {shard.Layers.First + shard.Layers.Count - 1}";
}
