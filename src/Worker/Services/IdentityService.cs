using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Loading;
using Microsoft.AspNetCore.Http;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Proves to a coordinator that calls back that this is the worker that registers.</summary>
sealed class IdentityService(ClusterOwner owner) : Wire.Identity.IdentityBase
{
    public override Task<Wire.ConfirmReply> Confirm(Wire.ConfirmRequest request, ServerCallContext context)
    {
        Field.Count("challenge", request.Challenge.Length, PeerKey.Length, PeerKey.Length);
        if (owner.Key is not { } key) throw new RpcException(new Status(StatusCode.Unavailable, "this worker has not begun to register"));
        return Task.FromResult(new Wire.ConfirmReply { Proof = key.Prove(request.Challenge) });
    }
}

/// <summary>The keys that callers may show to this worker.</summary>
sealed class WorkerCallerKeys(ClusterOwner owner, ShardKeeper shards) : ICallerKeys
{
    public string? FirstProblem(Caller expected, IHeaderDictionary headers)
    {
        string? shown = headers[PeerKey.Header];
        return expected switch
        {
            Caller.Coordinator => owner.Key?.Matches(shown) is true ? null : "the call shows no key of the coordinator that this worker is registered with",
            Caller.LinkMeter => owner.Key?.For(PeerKey.LinkMeter).Matches(shown) is true ? null : "the call shows no key to measure the way to this worker",
            Caller.KvFetcher => owner.Key?.For(PeerKey.KvTransfer).Matches(shown) is true ? null : "the call shows no key to fetch KV of this worker",
            Caller.WeightsFetcher => owner.Key?.For(PeerKey.Weights).Matches(shown) is true ? null : "the call shows no key to fetch weights of this worker",
            Caller.SameView => shards.ViewKey?.Matches(shown) is true ? null : $"the call shows no key of view {shards.ViewVersion}, which is this worker's",
            _ => $"a worker knows no key of a {expected}",
        };
    }
}
