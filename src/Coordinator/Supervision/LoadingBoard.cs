using System.Collections.Immutable;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>Collects what the workers of a plan say of their loading. Safe for concurrent use.</summary>
sealed class LoadingBoard
{
    readonly Lock _lock = new();
    readonly Action<string, ImmutableArray<ShardProgress>> _report;
    ImmutableArray<ShardProgress> _shards;

    /// <param name="report">Given one line for people and all shards, in stage order, then rank order, at the start and after each change.</param>
    public LoadingBoard(IEnumerable<StageWorker> workers, Action<string, ImmutableArray<ShardProgress>> report)
    {
        (_report, _shards) = (report, [.. workers.Select(NotBegun)]);
        _report(Describe(_shards), _shards);
    }

    public void Update(ShardProgress progress)
    {
        lock (_lock)
        {
            _shards = _shards.Replace(_shards.First(shard => shard.Worker == progress.Worker), progress);
            _report(Describe(_shards), _shards);
        }
    }

    static ShardProgress NotBegun(StageWorker worker) => new(
        worker.Id, worker.Name, worker.Assignment.Address, worker.Stage, worker.Assignment.Shard, LoadProgress.Types.Phase.Unspecified, 0, 0, "");

    static string Describe(ImmutableArray<ShardProgress> shards)
        => $"loading the model: {string.Join(", ", shards.Select(Describe))}";

    static string Describe(ShardProgress shard)
    {
        var rate = shard.SecondsLeft is { } left and > 0 ? $" at {shard.BytesPerSecond / 1e6:0.#} MB/s, {left:0} s left" : "";
        return $"{shard.WorkerName} {shard.Fraction * 100:0} %{rate}";
    }
}
