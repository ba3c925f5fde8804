using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// The membership protocol, for workers and operators' tools. Anyone who reaches the port may register, so every field is checked before
/// it is used, and the worker is called back at the address that it announced. What else a worker says needs the key of its registration.
/// </summary>
public sealed partial class MembershipService(
    WorkerRegistry registry, IWorkerConfirmation confirmation, SettledOwnership ownership, ModelIdentity model, ClusterDeadlines deadlines,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<MembershipService> logger, JoinToken? join = null)
    : Wire.Membership.MembershipBase
{
    const int ShownDigits = 12;

    public override async Task<RegisterReply> Register(RegisterRequest request, ServerCallContext context)
    {
        // A worker that registers again counts as a new process. That would end the view, and with it the sequences that still have time to finish.
        if (lifetime.ApplicationStopping.IsCancellationRequested) throw new RpcException(new Status(StatusCode.Unavailable, "the coordinator is stopping"));
        if (request.ProtocolVersion != ProtocolVersion.Current)
            throw Refuse(context, StatusCode.Unimplemented,
                $"the coordinator speaks protocol version {ProtocolVersion.Current}, the worker {request.ProtocolVersion}: run the same release on both");
        var digest = request.ModelDigest.Length == 0 ? "" : Field.Digest("model_digest", request.ModelDigest);
        if (digest.Length > 0 && digest != model.Digest)
            throw Refuse(context, StatusCode.FailedPrecondition,
                $"the coordinator serves model {model.Digest[..ShownDigits]} ({model.Name}), the worker has {digest[..ShownDigits]}: "
                + "start it with the same model, or with none");
        var owned = await ownership.WaitAsync(time, context.CancellationToken)
            ?? throw new RpcException(new Status(StatusCode.Unavailable, "the coordinator has not joined its cluster yet (--state); it takes workers soon"));
        var announced = MemberMapping.Read(request);
        var newcomer = announced(new WorkerId("new"));
        Admit(request, newcomer, context);
        await ConfirmAsync(newcomer, context);
        var member = registry.Register(announced)
            ?? throw Refuse(context, StatusCode.ResourceExhausted, $"{WorkerRegistry.MaxMembers} workers are registered; no more are taken in");
        return new RegisterReply
        {
            WorkerId = member.Id.Value,
            ViewVersion = registry.Snapshot.ViewVersion,
            HeartbeatIntervalMilliseconds = (uint)deadlines.HeartbeatInterval.TotalMilliseconds,
            HeartbeatTimeoutMilliseconds = (uint)deadlines.HeartbeatTimeout.TotalMilliseconds,
            ClusterId = owned.ClusterId,
            Epoch = owned.Epoch,
        };
    }

    [CalledBy(Caller.RegisteredWorker)]
    public override async Task Heartbeat(
        IAsyncStreamReader<HeartbeatRequest> requests, IServerStreamWriter<HeartbeatReply> replies, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var speaker = RegisteredWorkers.Speaker(context);
        var key = registry.Snapshot.FindPresent(speaker)?.Key ?? throw Unknown(speaker);
        try
        {
            while (await requests.MoveNext(ends.Token))
            {
                var beat = requests.Current;
                CheckSpeaker(beat.WorkerId, context);
                if (!registry.TryBeat(speaker, MemberMapping.ReadState(beat.State))) throw Unknown(speaker);
                var now = registry.Snapshot;
                var reply = new HeartbeatReply
                {
                    ViewVersion = now.ViewVersion,
                    SequenceNumber = beat.SequenceNumber,
                    StandsBy = now.StandingBy.Contains(speaker),
                };
                await replies.WriteAsync(reply, ends.Token);
            }
        }
        finally
        {
            if (!lifetime.ApplicationStopping.IsCancellationRequested) registry.HeartbeatsEnded(speaker, key);
        }
    }

    [CalledBy(Caller.RegisteredWorker)]
    public override async Task<DrainReply> Drain(DrainRequest request, ServerCallContext context)
    {
        var id = CheckSpeaker(request.WorkerId, context);
        if (!registry.TryDrain(id)) throw Unknown(id);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        await registry.WaitAsync(now => !now.IsAssigned(id), ends.Token);
        // Whoever takes over may fetch its KV until then. If no view comes, nobody does.
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(ends.Token);
        await Task.WhenAny(registry.WaitAsync(now => !now.IsNeeded(id), waiting.Token), time.DelayAsync(deadlines.Handover, waiting.Token));
        waiting.Cancel();
        ends.Token.ThrowIfCancellationRequested();
        return new DrainReply { ViewVersion = registry.Snapshot.ViewVersion };
    }

    public override Task<ListWorkersReply> ListWorkers(ListWorkersRequest request, ServerCallContext context) => join is null
        ? Task.FromResult(registry.Snapshot.ToMessage())
        : throw new RpcException(new Status(
            StatusCode.Unauthenticated, "this cluster has a join token, so it is not shown to everybody: ask the API, GET /v1/cluster"));

    /// <summary>A worker speaks for itself only.</summary>
    static WorkerId CheckSpeaker(string named, ServerCallContext context)
    {
        var (id, speaker) = (Field.Worker("worker_id", named), RegisteredWorkers.Speaker(context));
        return id == speaker ? id : throw new InvalidMessageException($"worker_id is {id}, but the call shows the key of {speaker}");
    }

    static RpcException Unknown(WorkerId id) => new(new Status(StatusCode.NotFound, $"worker {id} is not registered (any more): register again"));

    /// <summary>Where there is a join token, refuses who does not know it, and who sends again what another worker has sent.</summary>
    void Admit(RegisterRequest request, Member newcomer, ServerCallContext context)
    {
        if (join is null) return;
        var shown = context.RequestHeaders.GetValue(JoinToken.Header);
        if (join.ProblemOfWorker(request, shown, out var answer) is { } problem) throw Refuse(context, StatusCode.Unauthenticated, problem);
        if (registry.Snapshot.Members.Any(member => member.Key.IsSame(newcomer.Key)))
            throw Refuse(context, StatusCode.AlreadyExists, "this registration was made before: a worker makes a new key each time it registers");
        context.ResponseTrailers.Add(JoinToken.Header, answer);
    }

    async Task ConfirmAsync(Member announced, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        if (await confirmation.FirstProblemAsync(announced.Address, announced.Key, ends.Token) is not { } problem) return;
        registry.NoteUnreachable(announced.Name, announced.Address, problem);
        throw Refuse(context, StatusCode.Unavailable,
            $"the coordinator cannot reach this worker at {PeerAddress.Format(announced.Address)}: {problem}; "
            + "start it with --listen and an address that the coordinator reaches");
    }

    RpcException Refuse(ServerCallContext context, StatusCode code, string reason)
    {
        LogRefused(context.Peer, reason);
        return new RpcException(new Status(code, reason));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused to register the worker that called from {Peer}: {Reason}")]
    partial void LogRefused(string peer, string reason);
}
