using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Links;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>One stage with no others; what involves links is in <see cref="PipelineTests"/>.</summary>
public class StageExecutorTests
{
    static readonly StageOptions Options = new() { KvBlockCount = 1, MaxStepRows = 4, MaxSequenceLength = 16 };

    readonly FakeModel _model = new() { LiveStages = 1 };

    [Fact]
    public async Task Replies_ThatNobodyReads_EndTheView()
    {
        await using var executor = Start();
        for (ulong id = 1; _model.LiveStages > 0; id++)
        {
            Assert.InRange(id, 0UL, 100_000UL);
            await executor.SubmitAsync(Step(id), CancellationToken.None);
        }
    }

    [Fact]
    public async Task Steps_OnOneThreadOfTheirOwn()
    {
        var threads = new HashSet<Thread>();
        _model.OnRun = _ =>
        {
            threads.Add(Thread.CurrentThread);
            return null;
        };
        await using var executor = Start();
        for (ulong id = 1; id <= 10; id++) await executor.SubmitAsync(Step(id), CancellationToken.None);
        for (ulong id = 1; id <= 10; id++) Assert.Equal(id, (await ReplyAsync(executor)).Result.StepId);
        Assert.False(Assert.Single(threads).IsThreadPoolThread);
    }

    [Fact]
    public async Task CloseAsync_WithStepsWaiting_AnswersThemWithTheReason()
    {
        using var go = new ManualResetEventSlim();
        var begun = new TaskCompletionSource();
        _model.OnRun = _ =>
        {
            begun.TrySetResult();
            go.Wait(TimeSpan.FromSeconds(20));
            return null;
        };
        await using var executor = Start();
        await executor.SubmitAsync(Step(1), CancellationToken.None);
        await executor.SubmitAsync(Step(2), CancellationToken.None);
        await Deadline.Within(begun.Task, "the first step");

        var closing = executor.CloseAsync(new StepFailure(Reason.StaleView, "replaced"));
        Assert.False(closing.IsCompleted);
        go.Set();
        await Deadline.Within(closing, "the view's end");

        Assert.Equal(1UL, (await ReplyAsync(executor)).Result.StepId);
        var failed = (await ReplyAsync(executor)).Failed;
        Assert.Equal((2UL, Reason.StaleView, "replaced"), (failed.StepId, failed.Reason, failed.Message));
        Assert.False(await executor.Replies.WaitToReadAsync());
        Assert.Equal(0, _model.LiveStages);
    }

    StageExecutor Start()
    {
        var stage = new FakeStage(_model, SyntheticModel.Small.Config, StageShape.Whole(3), Options, exchange: null);
        return StageExecutor.Start(1, stage, new StageLinks(null, null, []), TimeSpan.FromSeconds(20), NullLogger.Instance);
    }

    static StageWork.RunStep Step(ulong id) => new(id, new Step([], [new Chunk(1, 0, 1, new[] { 5 }, default, 1, default)]), 1);

    static Task<Wire.StepReply> ReplyAsync(StageExecutor executor) => Deadline.Within(executor.Replies.ReadAsync().AsTask(), "a reply");
}
