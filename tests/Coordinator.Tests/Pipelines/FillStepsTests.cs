using System.Threading.Channels;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

/// <summary>Steps that do not go through all stages: three stages of a layer each, and a prompt of which the first one lacks two blocks.</summary>
public sealed class FillStepsTests : IAsyncLifetime
{
    static readonly int[] Prompt = [.. Enumerable.Range(3, 40)];

    readonly Channel<(int Stage, ulong Step)> _ran = Channel.CreateUnbounded<(int, ulong)>();
    readonly StepScheduler _scheduler;
    PipelineFixture _fixture = null!;
    IPipeline _pipeline = null!;

    public FillStepsTests()
    {
        var keys = new PromptKeys(PrefixCacheKey.Root(TestSequence.Digest, ""), Prompt);
        keys.Compute();
        var pool = new KvBlockPool(100, [new FullBlock(4, keys.Ends[1], BlockFill.Lacking(1)), new FullBlock(7, keys.Ends[2], BlockFill.Lacking(1))]);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 3 }, pool);
    }

    public async Task InitializeAsync()
    {
        _fixture = await PipelineFixture.WithWorkersAsync(3);
        for (var stage = 0; stage < 3; stage++) Answer(stage, _ => Task.CompletedTask);
        _pipeline = await _fixture.OpenedAsync();
    }

    public async Task DisposeAsync()
    {
        await _pipeline.DisposeAsync();
        await _fixture.DisposeAsync();
    }

    [Fact]
    public async Task Only_the_stages_that_lack_something_get_the_step()
    {
        _scheduler.Add(TestSequence.Of(1, Prompt));
        var fill = _scheduler.Schedule()!;
        var filled = Assert.IsType<StepReturn.Completed>(await _pipeline.ExecuteAsync(fill).Soon());
        Assert.Equal(ChunkResult.Empty, Assert.Single(filled.Results));
        _scheduler.Complete(fill, filled.Results);
        var rest = Assert.IsType<StepReturn.Completed>(await _pipeline.ExecuteAsync(_scheduler.Schedule()!).Soon());
        Assert.Single(Assert.Single(rest.Results).Tokens);
        List<(int, ulong)> ran = [];
        while (ran.Count < 4) ran.Add(await _ran.Reader.ReadAsync().AsTask().Soon());   // the last stage's answer may come before another fake stage has begun
        Assert.Equal([(0, 1UL), (0, 2UL), (1, 2UL), (2, 2UL)], ran.Order());
        Assert.Equal(0, _ran.Reader.Count);
    }

    [Fact]
    public async Task Such_a_step_may_be_over_before_one_that_was_sent_earlier()
    {
        var (reached, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        Answer(2, step =>
        {
            if (step == 1) reached.SetResult();
            return go.Task.Soon();
        });
        _scheduler.Add(TestSequence.Of(1, [1, 2, 3]));
        var first = _pipeline.ExecuteAsync(_scheduler.Schedule()!);
        _scheduler.Add(TestSequence.Of(2, Prompt));
        var fill = _pipeline.ExecuteAsync(_scheduler.Schedule()!);
        await reached.Task.Soon();
        Assert.IsType<StepReturn.Completed>(await fill.Soon());
        Assert.False(first.IsCompleted);
        go.SetResult();
        Assert.Single(Assert.Single(Assert.IsType<StepReturn.Completed>(await first.Soon()).Results).Tokens);
    }

    [Fact]
    public async Task A_stage_that_does_not_answer_such_a_step_is_named()
    {
        var reached = new TaskCompletionSource();
        _fixture.Workers[0].OnStep = (_, _) =>
        {
            reached.SetResult();
            return FakeWorker.Send();
        };
        _scheduler.Add(TestSequence.Of(1, Prompt));
        var fill = _pipeline.ExecuteAsync(_scheduler.Schedule()!);
        await reached.Task.Soon();
        _fixture.Time.Advance(_fixture.Deadlines.Step);
        var failure = Assert.IsType<StepReturn.Lost>(await fill.Soon()).Failure;
        Assert.Contains("worker worker0 (", failure.Message);
        Assert.Contains("has not answered step 1 for 120 s", failure.Message);
    }

    /// <summary>The fake stages know nothing of what was kept: what they say of a step is left out.</summary>
    void Answer(int stage, Func<ulong, Task> before) => _fixture.Workers[stage].OnStep = async (plan, _) =>
    {
        await before(plan.StepId);
        _ran.Writer.TryWrite((stage, plan.StepId));
        if (stage < 2)
            return [new StepReply { Done = new StepDone { ViewVersion = plan.ViewVersion, StepId = plan.StepId, Timings = new StepTimings { Rows = 1 } } }];
        var result = new StepResult { ViewVersion = plan.ViewVersion, StepId = plan.StepId };
        foreach (var chunk in plan.Chunks)
            if (chunk.SampleCount > 0)
                result.Sequences.Add(new SequenceResult { SequenceId = chunk.SequenceId, Tokens = { new Protos.SampledToken { Id = 9, Logprob = -1 } } });
        return [new StepReply { Result = result }];
    };
}
