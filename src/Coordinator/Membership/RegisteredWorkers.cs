using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>The keys that callers may show to the coordinator: those of the workers that are registered.</summary>
sealed class RegisteredWorkers(WorkerRegistry registry) : ICallerKeys
{
    /// <summary>The worker that calls. Its key was checked before.</summary>
    /// <exception cref="InvalidMessageException">It does not say who it is.</exception>
    public static WorkerId Speaker(ServerCallContext context) =>
        Field.Worker(PeerKey.WorkerHeader, context.GetHttpContext().Request.Headers[PeerKey.WorkerHeader].ToString());

    public string? FirstProblem(Caller expected, IHeaderDictionary headers)
    {
        if (expected != Caller.RegisteredWorker) return $"a coordinator knows no key of a {expected}";
        var id = headers[PeerKey.WorkerHeader].ToString();
        return WorkerId.IsValid(id) && registry.IsKeyOf(new WorkerId(id), headers[PeerKey.Header])
            ? null
            : "the call shows no key of a worker that is registered here; register (again) first";
    }
}
