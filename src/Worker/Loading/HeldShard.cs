using LlamaCluster.Worker.Execution;

namespace LlamaCluster.Worker.Loading;

/// <summary>A shard that is loaded for a view, and what runs it.</summary>
/// <param name="KvBlockBytes">Of one block, over all layers of the shard.</param>
/// <param name="ResidentBytes">Weights, KV cache and buffers.</param>
sealed record HeldShard(LoadOrder Order, HeldModel Model, StageExecutor Executor, int KvBlockCount, long KvBlockBytes, long ResidentBytes);
