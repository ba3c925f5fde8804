using LlamaCluster.Planning.Plans;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>What a worker tells of itself in heartbeats and at registration.</summary>
/// <param name="ViewVersion">The last view accepted; 0: none.</param>
/// <param name="HeldDigest">Of the weights in memory; null: none.</param>
sealed record ShardStatus(Wire.WorkerState State, ulong ViewVersion, string? HeldDigest, Shard? Shard, long ResidentBytes);
