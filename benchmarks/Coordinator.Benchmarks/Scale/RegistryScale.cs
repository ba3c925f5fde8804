using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Benchmarks.Scale;

/// <summary>The registry with very many workers.</summary>
sealed class RegistryScale : IDisposable
{
    readonly Pulse _pulse = new(TimeProvider.System);
    readonly WorkerRegistry _registry;

    /// <param name="workers">All register.</param>
    public RegistryScale(IReadOnlyList<CandidateWorker> workers)
    {
        _registry = new WorkerRegistry(new ClusterDeadlines(), ClusterOwnership.Take(null), _pulse, TimeProvider.System, NullLogger<WorkerRegistry>.Instance);
        foreach (var worker in workers)
            _registry.Register(id => new Member(id, worker.Name, worker.Address)
            {
                Key = PeerKey.Create(),
                Capabilities = WorkerCapabilities.Unknown with { Machine = worker.Machine },
            });
    }

    /// <summary>One heartbeat of each worker.</summary>
    public void Beat()
    {
        foreach (var member in _registry.Snapshot.Members) _registry.TryBeat(member.Id, WorkerState.Ready);
    }

    /// <summary>What <c>ListWorkers</c> answers.</summary>
    public ListWorkersReply List() => _registry.Snapshot.ToMessage();

    public void Dispose()
    {
        _registry.Dispose();
        _pulse.Dispose();
    }
}
