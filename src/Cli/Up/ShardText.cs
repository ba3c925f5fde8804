using LlamaCluster.Coordinator.Supervision;

namespace LlamaCluster.Cli.Up;

/// <summary>Which shard of which worker, for people.</summary>
static class ShardText
{
    public static string Of(ShardProgress progress)
    {
        var (layers, slice) = (progress.Shard.Layers, progress.Shard.Slice);
        var rank = slice.IsWhole ? "" : $", rank {slice.Rank} of {slice.RankCount}";
        return $"{progress.WorkerName}, stage {progress.Stage}, layers {layers.First} to {layers.End - 1}{rank}";
    }
}
