using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Profiling;

/// <summary>Nothing is measured; the coordinator takes the worker to be like the others.</summary>
sealed class NoProfile : IProfileSource
{
    public Task<Profile> GetAsync(CancellationToken cancellation) => Task.FromResult(new Profile());
}
