using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// The membership protocol, for workers and operators' tools. Anyone who reaches the port may call it, so every field is checked before
/// it is used.
/// </summary>
public sealed partial class MembershipService(
    WorkerRegistry registry, ModelIdentity model, ClusterDeadlines deadlines, IHostApplicationLifetime lifetime, ILogger<MembershipService> logger)
    : Wire.Membership.MembershipBase
{
    const int ShownDigits = 12;

    public override Task<RegisterReply> Register(RegisterRequest request, ServerCallContext context)
    {
        // A worker that registers again counts as a new process. That would end the view, and with it the sequences that still have time to finish.
        if (lifetime.ApplicationStopping.IsCancellationRequested) throw new RpcException(new Status(StatusCode.Unavailable, "the coordinator is stopping"));
        if (request.ProtocolVersion != ProtocolVersion.Current)
            throw Refuse(context, StatusCode.FailedPrecondition,
                $"the coordinator speaks protocol version {ProtocolVersion.Current}, the worker {request.ProtocolVersion}: run the same release on both");
        var digest = request.ModelDigest.Length == 0 ? "" : Field.Digest("model_digest", request.ModelDigest);
        if (digest.Length > 0 && digest != model.Digest)
            throw Refuse(context, StatusCode.FailedPrecondition,
                $"the coordinator serves model {model.Digest[..ShownDigits]} ({model.Name}), the worker has {digest[..ShownDigits]}: start it with the same model, or with none");
        var announced = MemberMapping.Read(request, CoordinatorAddress(context));
        var member = registry.Register(announced)
            ?? throw Refuse(context, StatusCode.ResourceExhausted, $"{WorkerRegistry.MaxMembers} workers are registered; no more are taken in");
        return Task.FromResult(new RegisterReply
        {
            WorkerId = member.Id.Value,
            ViewVersion = registry.Snapshot.ViewVersion,
            HeartbeatIntervalMilliseconds = (uint)deadlines.HeartbeatInterval.TotalMilliseconds,
            HeartbeatTimeoutMilliseconds = (uint)deadlines.HeartbeatTimeout.TotalMilliseconds,
        });
    }

    public override async Task Heartbeat(
        IAsyncStreamReader<HeartbeatRequest> requests, IServerStreamWriter<HeartbeatReply> replies, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        WorkerId? speaker = null;
        try
        {
            while (await requests.MoveNext(ends.Token))
            {
                var beat = requests.Current;
                var id = Field.Worker("worker_id", beat.WorkerId);
                if (id != (speaker ?? id)) throw new InvalidMessageException($"worker_id is {id}, but this stream is {speaker}'s");
                if (!registry.TryBeat(id, MemberMapping.ReadState(beat.State), MemberMapping.ReadViewVersion(beat.ViewVersion)))
                    throw new RpcException(new Status(StatusCode.NotFound, $"worker {id} is not registered (any more): register again"));
                speaker = id;
                var reply = new HeartbeatReply { ViewVersion = registry.Snapshot.ViewVersion, SequenceNumber = beat.SequenceNumber };
                await replies.WriteAsync(reply, ends.Token);
            }
        }
        finally
        {
            if (speaker is { } lost && !lifetime.ApplicationStopping.IsCancellationRequested) registry.MarkLost(lost, "its heartbeat stream ended");
        }
    }

    public override async Task<DrainReply> Drain(DrainRequest request, ServerCallContext context)
    {
        var id = Field.Worker("worker_id", request.WorkerId);
        if (!registry.TryDrain(id)) throw new RpcException(new Status(StatusCode.NotFound, $"worker {id} is not registered"));
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var snapshot = await registry.WaitAsync(now => !now.IsAssigned(id), ends.Token);
        return new DrainReply { ViewVersion = snapshot.ViewVersion };
    }

    public override Task<ListWorkersReply> ListWorkers(ListWorkersRequest request, ServerCallContext context)
        => Task.FromResult(registry.Snapshot.ToMessage());

    /// <summary>
    /// The coordinator's address as the worker wrote it to make this call. It is right whatever the coordinator listens on, and behind
    /// address translation too.
    /// </summary>
    static Uri CoordinatorAddress(ServerCallContext context)
    {
        var scheme = context.GetHttpContext().Request.Scheme;
        return PeerAddress.TryParse($"{scheme}://{context.Host}", out var address)
            ? address
            : throw new InvalidMessageException("the call's :authority is not host:port, so the worker's way to the coordinator is unknown");
    }

    RpcException Refuse(ServerCallContext context, StatusCode code, string reason)
    {
        LogRefused(context.Peer, reason);
        return new RpcException(new Status(code, reason));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused to register the worker that called from {Peer}: {Reason}")]
    partial void LogRefused(string peer, string reason);
}
