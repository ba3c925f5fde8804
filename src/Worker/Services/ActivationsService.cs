using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Peers;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>
/// Receives the activations of the stage before. Frames go to the inbox of the view that they name. Whole steps are acknowledged. A frame that
/// cannot be used is answered with a refusal, which ends the stream. Offers direct connections beside the stream; <see cref="StageCaller"/> is the other
/// side of that.
/// </summary>
[CalledBy(Caller.SameView)]
sealed partial class ActivationsService(
    ShardKeeper shards, WorkerOptions options, WorkerLifetime lifetime, ILogger<ActivationsService> logger, ClusterTls? tls = null)
    : Wire.Activations.ActivationsBase
{
    public override async Task Send(
        IAsyncStreamReader<Wire.ActivationFrame> frames, IServerStreamWriter<Wire.ActivationAck> acks, ServerCallContext context)
    {
        // Tells the sender that it is connected, before it has anything to send.
        await context.WriteResponseHeadersAsync([]);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        if (!await frames.MoveNext(stopping.Token)) return;
        if (shards.Current?.Executor.Inbox is not { } inbox)
        {
            await RefuseAsync(frames.Current, "this worker waits for no activations", acks, context);
            return;
        }
        // Checked before the inbox counts the stream: the end of another view's stream must not look like a lost sender.
        if (ActivationFrameRules.FirstProblem(frames.Current, inbox.Shape) is { } problem)
        {
            await RefuseAsync(frames.Current, problem, acks, context);
            return;
        }
        using var closing = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token, inbox.Closed);
        inbox.StreamOpened();
        try
        {
            await ReceiveAsync(inbox, frames, acks, context, closing.Token);
        }
        catch (OperationCanceledException) when (inbox.Closed.IsCancellationRequested)
        {
            LogViewOver(inbox.Shape.ViewVersion);
        }
        finally
        {
            inbox.StreamClosed();
        }
    }

    public override async Task Link(
        IAsyncStreamReader<Wire.ActivationLinkRequest> requests, IServerStreamWriter<Wire.ActivationLinkReply> replies, ServerCallContext context)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        deadline.CancelAfter(2 * RpcSettings.CallDeadline);
        if (!await requests.MoveNext(deadline.Token)) return;
        if (shards.Current?.Executor is not { Inbox: { } inbox } executor) throw Refused("this worker waits for no activations");
        if (Problem(requests.Current, inbox.Shape) is { } problem) throw Refused(problem);
        var name = $"stage {inbox.Shape.FromStage} ({context.Peer})";
        await using var offers = new LinkOffers(options.PeerLink, requests.Current.Link, context, name, executor.Timeout, tls, logger, deadline.Token);
        await replies.WriteAsync(new Wire.ActivationLinkReply { Direct = offers.Direct, SharedMemory = offers.SharedMemory }, deadline.Token);
        if (!await requests.MoveNext(deadline.Token)) return;
        if (await TakeAsync(offers, requests.Current.Link) is not { } link)
        {
            if (options.PeerLink is PeerLinkPreference.Auto or PeerLinkPreference.Grpc) return;
            throw Refused($"--peer-link is {options.PeerLink.ToString().ToLowerInvariant()} here, but {name} has opened no direct connection");
        }
        if (!inbox.TryAttach(link))
        {
            await link.DisposeAsync();
            throw Refused($"view {inbox.Shape.ViewVersion} has a direct connection from stage {inbox.Shape.FromStage}, or is over");
        }
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token, inbox.Closed);
        inbox.StreamOpened();
        try
        {
            await replies.WriteAsync(new Wire.ActivationLinkReply(), deadline.Token);
            await Task.Delay(Timeout.Infinite, ends.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            inbox.StreamClosed();
        }
    }

    string? Problem(Wire.ActivationLinkRequest request, ActivationShape shape)
    {
        if (request.ViewVersion != shape.ViewVersion) return $"view {request.ViewVersion} is not this worker's, which is {shape.ViewVersion}";
        if (request.FromStage != shape.FromStage) return $"from_stage is {request.FromStage}, not {shape.FromStage}";
        return LinkOffers.FirstProblem(request.Link, options.PeerLink);
    }

    static async Task<IPeerLink?> TakeAsync(LinkOffers offers, Wire.PeerLinkType chosen)
    {
        try
        {
            return await offers.TakeAsync(chosen);
        }
        catch (PeerLinkException e)
        {
            throw new RpcException(new Status(StatusCode.Aborted, e.Message));
        }
    }

    async Task ReceiveAsync(
        ActivationInbox inbox, IAsyncStreamReader<Wire.ActivationFrame> frames, IServerStreamWriter<Wire.ActivationAck> acks,
        ServerCallContext context, CancellationToken cancellation)
    {
        do
        {
            var frame = frames.Current;
            var (verdict, refusal) = await inbox.AddAsync(frame, cancellation);
            if (verdict == FrameVerdict.Refused)
            {
                await RefuseAsync(frame, refusal, acks, context);
                return;
            }
            if (verdict == FrameVerdict.StepComplete)
                await acks.WriteAsync(new Wire.ActivationAck { ViewVersion = frame.ViewVersion, StepId = frame.StepId }, cancellation);
        }
        while (await frames.MoveNext(cancellation));
    }

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));

    async Task RefuseAsync(Wire.ActivationFrame frame, string refusal, IServerStreamWriter<Wire.ActivationAck> acks, ServerCallContext context)
    {
        LogRefused(frame.StepId, frame.ViewVersion, context.Peer, refusal);
        await acks.WriteAsync(new Wire.ActivationAck { ViewVersion = frame.ViewVersion, StepId = frame.StepId, Refusal = refusal }, context.CancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused activations of step {StepId} of view {ViewVersion} from {Peer}: {Reason}")]
    partial void LogRefused(ulong stepId, ulong viewVersion, string peer, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion} is over, its activation stream is closed")]
    partial void LogViewOver(ulong viewVersion);
}
