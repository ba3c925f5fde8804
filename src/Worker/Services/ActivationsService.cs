using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Loading;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>
/// Receives the activations of the stage before. Frames go to the inbox of the view that they name. Whole steps are acknowledged. A frame that
/// cannot be used is answered with a refusal, which ends the stream.
/// </summary>
[CalledBy(Caller.SameView)]
sealed partial class ActivationsService(ShardKeeper shards, WorkerLifetime lifetime, ILogger<ActivationsService> logger)
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
