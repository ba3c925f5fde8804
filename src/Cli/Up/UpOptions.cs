using LlamaCluster.Coordinator;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Up;

/// <param name="ThreadsPerWorker">Compute threads, at least 1.</param>
sealed record UpOptions(CoordinatorOptions Coordinator, int ThreadsPerWorker, PeerLinkPreference PeerLink);
