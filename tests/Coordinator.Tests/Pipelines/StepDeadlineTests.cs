using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

/// <summary>Steps that take too long, and steps that only seem to.</summary>
public sealed class StepDeadlineTests
{
    [Fact]
    public async Task A_step_without_an_answer_is_over_at_its_deadline_and_the_first_stage_that_owes_it_is_named()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(3);
        var reached = new SyncPoint();
        fixture.Workers[1].OnStep = async (_, _) =>
        {
            await reached.PassAsync();
            return [];
        };
        fixture.Workers[2].OnStep = (_, _) => FakeWorker.Send();
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [3]);
        var step = pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!);
        await reached.Reached;
        reached.Go();
        fixture.Time.Advance(fixture.Deadlines.Step - TimeSpan.FromSeconds(1));
        Assert.False(step.IsCompleted);
        fixture.Time.Advance(TimeSpan.FromSeconds(1));
        var failure = Assert.IsType<StepReturn.Lost>(await step.Soon()).Failure;
        Assert.True(failure.WorkerLost);
        Assert.Contains("has not answered step 1 for 120 s", failure.Message);
    }

    [Fact]
    public async Task A_timer_that_fires_late_does_not_end_a_step_that_has_just_become_the_oldest()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        var clock = new KeptTimers(fixture.Time);
        fixture.Clock = clock;
        await using var pipeline = await fixture.OpenedAsync();
        var stepDeadline = clock.Callbacks[^2];   // the last one is for the suspicion
        fixture.Add(1, [3], maxTokens: 3);
        var first = fixture.Scheduler.Schedule()!;
        fixture.Scheduler.Complete(first, Assert.IsType<StepReturn.Completed>(await pipeline.ExecuteAsync(first).Soon()).Results);
        fixture.Time.Advance(fixture.Deadlines.Step - TimeSpan.FromSeconds(1));
        var held = fixture.Workers[0].HoldSteps();
        var second = pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!);
        await held.Reached;

        stepDeadline();   // as if it had fired for the first step, and only now got the lock
        Assert.False(pipeline.Lost.IsCompleted);
        fixture.Time.Advance(fixture.Deadlines.Step - TimeSpan.FromSeconds(1));
        Assert.False(pipeline.Lost.IsCompleted);
        fixture.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains("has not answered step 2", Assert.IsType<StepReturn.Lost>(await second.Soon()).Failure.Message);
        held.Go();
    }

    /// <summary>A clock that lets a test call what its timers call, whenever it likes.</summary>
    sealed class KeptTimers(TimeProvider clock) : TimeProvider
    {
        public List<Action> Callbacks { get; } = [];

        public override long TimestampFrequency => clock.TimestampFrequency;

        public override long GetTimestamp() => clock.GetTimestamp();

        public override DateTimeOffset GetUtcNow() => clock.GetUtcNow();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Callbacks.Add(() => callback(state));
            return clock.CreateTimer(callback, state, dueTime, period);
        }
    }
}
