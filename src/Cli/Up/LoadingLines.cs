using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Protos;

namespace LlamaCluster.Cli.Up;

/// <summary>For files and pipes: a line for each worker at every quarter of its shard. What else happens is in the coordinator's log.</summary>
sealed class LoadingLines(TextWriter error) : LoadingView
{
    const int Steps = 4;

    readonly Dictionary<string, string> _last = [];

    public override TextWriter Log { get; } = TextWriter.Synchronized(error);

    public override Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation) => FollowAsync(status, Show, cancellation);

    void Show(ClusterStatus status)
    {
        foreach (var shard in status.Shards)
        {
            var line = $"{ShardText.Of(shard)}: {shard.Phase.ToString().ToLowerInvariant()} {Math.Floor(shard.Fraction * Steps) / Steps:P0}";
            if (shard.Phase == LoadProgress.Types.Phase.Unspecified || _last.GetValueOrDefault(shard.WorkerName) == line) continue;
            _last[shard.WorkerName] = line;
            Log.WriteLine(line);
        }
    }
}
