using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>
/// The coordinator's stream of steps for one view. A handshake checks that both mean the same shard of the same model. Then steps come down and
/// replies go up. When the stream ends, the view is over. When the view is over, the stream goes on, so that the coordinator can hear from all
/// stages before it decides what to do.
/// </summary>
[CalledBy(Caller.Coordinator)]
sealed partial class StepsService(ShardKeeper shards, ClusterOwner owner, WorkerLifetime lifetime, ILogger<StepsService> logger) : Wire.Steps.StepsBase
{
    public override async Task Run(
        IAsyncStreamReader<Wire.StepRequest> requests, IServerStreamWriter<Wire.StepReply> replies, ServerCallContext context)
    {
        var signs = owner.Signs;
        signs.Heard();
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        var open = await ReadOpenAsync(requests, stopping.Token);
        if (shards.Current is not { } shard || shard.Order.Plan.ViewVersion != open.ViewVersion)
        {
            var view = shards.ViewVersion;
            await replies.WriteAsync(StepReplies.Failed(view, 0, Stale(open.ViewVersion, view)), stopping.Token);
            return;
        }
        CheckOpen(open, shard.Order);
        if (!shard.Executor.TryOpen()) throw Refused($"view {open.ViewVersion} had its stream of steps; assign a new view");
        try
        {
            await ServeAsync(shard, signs, requests, replies, stopping.Token);
        }
        finally
        {
            await shard.Executor.CloseAsync(new StepFailure(Reason.StaleView, $"the stream of view {open.ViewVersion} ended"));
            LogClosed(open.ViewVersion);
        }
    }

    static async Task<Wire.OpenSteps> ReadOpenAsync(IAsyncStreamReader<Wire.StepRequest> requests, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.CallDeadline);
        try
        {
            if (await requests.MoveNext(deadline.Token) && requests.Current.Open is { } open) return open;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, $"no open came within {RpcSettings.CallDeadline.TotalSeconds} s"));
        }
        throw new InvalidMessageException("the first request of a Run stream must be open");
    }

    static void CheckOpen(Wire.OpenSteps open, LoadOrder order)
    {
        if (open.ModelDigest != order.Plan.ModelDigest)
            throw Refused($"view {open.ViewVersion} is of the model {order.Plan.ModelDigest}, not {open.ModelDigest}");
        if (open.WorkerId != order.Assignment.Worker.Value) throw Refused($"this is worker {order.Assignment.Worker}, not {open.WorkerId}");
    }

    async Task ServeAsync(
        HeldShard shard, CoordinatorSigns signs, IAsyncStreamReader<Wire.StepRequest> requests, IServerStreamWriter<Wire.StepReply> replies,
        CancellationToken cancellation)
    {
        var view = shard.Order.Plan.ViewVersion;
        if (await shard.Executor.ConnectAsync(cancellation) is { } failure)
        {
            await replies.WriteAsync(StepReplies.Failed(view, 0, failure), cancellation);
            return;
        }
        var blocks = shard.Executor.Blocks;
        foreach (var kept in blocks?.Announce() ?? []) await replies.WriteAsync(kept, cancellation);
        shards.ViewRuns();
        await replies.WriteAsync(StepReplies.Opened(view, shard.Order.Assignment.Stage, blocks?.SpillsAtOnce ?? 0), cancellation);
        LogOpened(view, shard.Order.Assignment.Stage);

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await Task.WhenAll(ReadAsync(shard, signs, requests, over.Token), WriteAsync(shard.Executor.Replies, replies, over));
    }

    /// <summary>Reads until the coordinator ends the stream. Then the view is over, and the replies end too.</summary>
    async Task ReadAsync(HeldShard shard, CoordinatorSigns signs, IAsyncStreamReader<Wire.StepRequest> requests, CancellationToken cancellation)
    {
        var view = shard.Order.Plan.ViewVersion;
        try
        {
            await TakeAsync(shard, signs, view, requests, cancellation);
        }
        catch (OperationCanceledException) when (shard.Executor.Replies.Completion.IsCompleted)
        {
            LogReplaced(view);
        }
        finally
        {
            await shard.Executor.CloseAsync(new StepFailure(Reason.StaleView, $"the coordinator ended view {view}"));
        }
    }

    async Task TakeAsync(
        HeldShard shard, CoordinatorSigns signs, ulong view, IAsyncStreamReader<Wire.StepRequest> requests, CancellationToken cancellation)
    {
        var histories = new HistoryParts(shard.Order.MaxStepRows, shard.Order.MaxSequenceLength);
        var grammars = new SequenceGrammars(shard.Order.MaxVocabularyOf(shard.Model.Weights.Config), shard.Order.MaxStepRows);
        while (await requests.MoveNext(cancellation))
        {
            signs.Heard();
            switch (requests.Current)
            {
                case { Step: { } step }: await shard.Executor.SubmitAsync(ToWork(step, shard, histories, grammars), cancellation); break;
                case { Replay: { } replay }: await shard.Executor.SubmitAsync(ToWork(replay, shard), cancellation); break;
                case { History: { } part } when part.ViewVersion == view: histories.Add(part); break;
                case { History: { } part }: LogStaleEnd(part.ViewVersion, view); break;
                case { Vocabulary: { } part } when part.ViewVersion == view: grammars.Add(part); break;
                case { Vocabulary: { } part }: LogStaleEnd(part.ViewVersion, view); break;
                case { Grammar: { } grammar } when grammar.ViewVersion == view: grammars.Add(grammar); break;
                case { Grammar: { } grammar }: LogStaleEnd(grammar.ViewVersion, view); break;
                case { Ended: { } ended } when ended.ViewVersion == view:
                    await shard.Executor.SubmitAsync(new StageWork.EndSequences(ended.SequenceIds), cancellation);
                    break;
                case { Ended: { } ended }: LogStaleEnd(ended.ViewVersion, view); break;
                case { Moves: { } moves } when moves.ViewVersion == view && shard.Executor.Blocks is not null:
                    await shard.Executor.SubmitAsync(moves.ToWork(), cancellation);
                    break;
                default:
                    throw new InvalidMessageException("a request of an open Run stream must be a step, replay, ended, or moves where blocks are kept on disk");
            }
        }
    }

    /// <summary>Writes until the replies end, because a new view replaced this one. Then nothing more is read either.</summary>
    static async Task WriteAsync(ChannelReader<Wire.StepReply> from, IServerStreamWriter<Wire.StepReply> to, CancellationTokenSource over)
    {
        try
        {
            await foreach (var reply in from.ReadAllAsync(over.Token))
                await to.WriteAsync(reply, over.Token);
        }
        finally
        {
            await over.CancelAsync();
        }
    }

    static StageWork ToWork(Wire.StepPlan step, HeldShard shard, HistoryParts histories, SequenceGrammars grammars) => OfView(
        shard, step.ViewVersion, step.StepId,
        () => step.ToWork(shard.Order.MaxStepRows, shard.Order.MaxVocabularyOf(shard.Model.Weights.Config), histories, grammars));

    static StageWork ToWork(Wire.Replay replay, HeldShard shard) => OfView(
        shard, replay.ViewVersion, replay.StepId, () => replay.ToWork(shard.Order.MaxStepRows));

    static StageWork OfView(HeldShard shard, ulong asked, ulong stepId, Func<StageWork> read)
    {
        var view = shard.Order.Plan.ViewVersion;
        if (asked != view) return new StageWork.RefuseStep(stepId, Stale(asked, view));
        try
        {
            return read();
        }
        catch (InvalidMessageException e)
        {
            return new StageWork.RefuseStep(stepId, new StepFailure(Reason.BadStep, e.Message));
        }
    }

    static StepFailure Stale(ulong asked, ulong view) =>
        new(Reason.StaleView, view == 0 ? $"view {asked} is not here: no shard is loaded" : $"view {asked} is not here: this worker's view is {view}");

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} runs: stage {Stage} takes steps")]
    partial void LogOpened(ulong viewVersion, int stage);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is over: its stream of steps ended")]
    partial void LogClosed(ulong viewVersion);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} was replaced by a newer one")]
    partial void LogReplaced(ulong viewVersion);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Ignored the end of sequences of view {Ended}: this worker's view is {ViewVersion}")]
    partial void LogStaleEnd(ulong ended, ulong viewVersion);
}
