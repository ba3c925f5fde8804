using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Profiling;

/// <summary>What the worker tells the coordinator of this machine's speed.</summary>
interface IProfileSource
{
    Task<Profile> GetAsync(CancellationToken cancellation);
}
