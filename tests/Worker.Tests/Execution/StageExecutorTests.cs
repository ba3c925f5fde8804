using System.Collections.Concurrent;
using System.Diagnostics;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Tests.Fakes;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>One stage with no others; what involves links is in <see cref="PipelineTests"/>.</summary>
public class StageExecutorTests
{
    static readonly StageOptions Options = new() { KvBlockCount = 1, MaxStepRows = 4, MaxSequenceLength = 16 };

    const ulong View = 1;

    static readonly ActivityContext[] Traces =
    [
        .. Enumerable.Range(0, 2).Select(_ => new ActivityContext(
            ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded, isRemote: true)),
    ];

    readonly FakeModel _model = new() { LiveStages = 1 };
    readonly LogLines _log = new();

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

    [Fact]
    public async Task Sequences_ThatCannotGoOn_AreTheStepsFailuresAndItsOthersGetTheirTokens()
    {
        _model.OnRun = _ => new StepOutcome.Completed([Sample(1), Sample(3)]) { Failures = [new SequenceFailure(2, "row 0 is not finite")] };
        await using var executor = Start();
        await executor.SubmitAsync(Step(1, new SequenceStart(3, new SamplingOptions(), 0, []) { Problem = "temperature is NaN" }), CancellationToken.None);
        await executor.SubmitAsync(Step(2), CancellationToken.None);
        for (var step = 1; step <= 2; step++)
        {
            var result = (await ReplyAsync(executor)).Result;
            Assert.Equal([1UL], result.Sequences.Select(sequence => sequence.SequenceId));
            Assert.Equal([(2UL, "row 0 is not finite"), (3UL, "temperature is NaN")], result.Failed.Select(failed => (failed.SequenceId, failed.Message)));
        }
        Assert.Equal(2, _log.Lines.Count);
        Assert.Contains("Sequence 2 of view 1 cannot go on: row 0 is not finite [request req-2]", _log.Lines);
        Assert.Contains("Sequence 3 of view 1 cannot go on: temperature is NaN", _log.Lines);
    }

    [Fact]
    public async Task Sequence_ThatIsEnded_LeavesItsProblemBehind()
    {
        await using var executor = Start();
        await executor.SubmitAsync(Step(1, new SequenceStart(1, new SamplingOptions(), 0, []) { Problem = "prompt_length is 0" }), CancellationToken.None);
        Assert.Equal(1UL, Assert.Single((await ReplyAsync(executor)).Result.Failed).SequenceId);
        await executor.SubmitAsync(new StageWork.EndSequences([1]), CancellationToken.None);
        await executor.SubmitAsync(Step(2), CancellationToken.None);
        Assert.Empty((await ReplyAsync(executor)).Result.Failed);
    }

    [Fact]
    public async Task Step_ThatFails_IsLoggedWithItsRequests()
    {
        _model.OnRun = _ => new StepOutcome.Refused("sequence 9 is unknown");
        await using var executor = Start();
        await executor.SubmitAsync(Step(1), CancellationToken.None);
        Assert.NotNull((await ReplyAsync(executor)).Failed);
        Assert.Equal("Step 1 of view 1 failed: BadStep, sequence 9 is unknown [request req-1, req-2]", Assert.Single(_log.Lines));
    }

    [Fact]
    public async Task Steps_WhereSomebodyListens_AreTracedWithTheirRequests()
    {
        var (activities, parts) = (new ConcurrentQueue<Activity>(), new ConcurrentQueue<Activity>());
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "LlamaCluster.Worker",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.GetTagItem("llamacluster.view") is View) activities.Enqueue(activity);
                else parts.Enqueue(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using (var executor = Start())
        {
            await executor.SubmitAsync(Step(1), CancellationToken.None);
            await executor.SubmitAsync(new StageWork.RunStep(2, new Step([], [ChunkOf(1)]), 1), CancellationToken.None);
            await ReplyAsync(executor);
            await ReplyAsync(executor);
        }
        var stages = activities.Where(span => span.OperationName == "stage 0").ToList();
        Assert.Equal(3, stages.Count);   // step 1 works for two traced requests and is in the trace of each
        Assert.Equal([Traces[0].SpanId, Traces[1].SpanId, Traces[0].SpanId], stages.Select(span => span.ParentSpanId));
        Assert.Equal([Traces[0].TraceId, Traces[1].TraceId, Traces[0].TraceId], stages.Select(span => span.TraceId));
        Assert.Equal([3, 3, 1], stages.Select(span => span.GetTagItem("llamacluster.rows")));
        Assert.All(stages, stage => Assert.Equal(["compute"], parts.Where(part => part.ParentSpanId == stage.SpanId).Select(part => part.OperationName)));
    }

    [Theory]
    [InlineData(0, 64, true)]       // the prompt's beginning
    [InlineData(64, 64, false)]
    [InlineData(960, 64, true)]     // reaches another thousand
    [InlineData(1936, 64, true)]    // its end
    [InlineData(2000, 1, true)]     // the first tokens
    [InlineData(2003, 1, true)]
    [InlineData(2004, 1, false)]
    [InlineData(2031, 1, false)]
    [InlineData(2032, 1, true)]     // each 32nd
    [InlineData(2060, 8, true)]     // one with guesses that reaches it
    [InlineData(2065, 7, false)]
    public void Steps_OfLongSequences_AreTracedNowAndThen(int start, int count, bool recorded) =>
        Assert.Equal(recorded, StepSpans.IsRecorded(start, count, promptLength: 2000));

    StageExecutor Start()
    {
        var stage = new FakeStage(_model, SyntheticModel.Small.Config, StageShape.Whole(3), Options, exchange: null);
        return StageExecutor.Start(View, stage, new StageConnections(null, null, []), TimeSpan.FromSeconds(20), _log);
    }

    /// <summary>A step of the sequences 1 to 3, of which the first two belong to requests.</summary>
    static StageWork.RunStep Step(ulong id, params SequenceStart[] starts) => new(id, new Step(starts, [ChunkOf(1), ChunkOf(2), ChunkOf(3)]), 3)
    {
        Requests = [new SequenceRequest(1, "req-1", Traces[0]), new SequenceRequest(2, "req-2", Traces[1])],
    };

    static Chunk ChunkOf(ulong sequence) => new(sequence, 0, 1, new[] { 5 }, default, 1);

    static SequenceSamples Sample(ulong sequence) => new(sequence, [new SampledToken(7, -0.5f, [])], []);

    static Task<Wire.StepReply> ReplyAsync(StageExecutor executor) => Deadline.Within(executor.Replies.ReadAsync().AsTask(), "a reply");
}
