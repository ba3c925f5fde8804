using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class StepSchedulerTests
{
    static readonly Config Checks = Config.QuickThrowOnFailure.WithMaxTest(400).WithReplay(20251122, 1);

    /// <summary>Budgets hold, no block is in two places, what is introduced is ended, everything finishes with the tokens it would have had alone.</summary>
    [Fact]
    public void Any_load_finishes_within_its_budgets() => Prop.ForAll(Workload.Any, load => new Simulation(load).Run()).Check(Checks);

    [Fact]
    public void The_loads_do_preempt_share_copy_guess_and_restore()
    {
        int loads = 0, preempted = 0, shared = 0, copied = 0, guessed = 0, restored = 0, unreadable = 0;
        Prop.ForAll(Workload.Any, load =>
        {
            var simulation = new Simulation(load);
            simulation.Run();
            loads++;
            if (simulation.Scheduler.Preemptions > 0) preempted++;
            if (simulation.Scheduler.HitTokens > 0) shared++;
            if (simulation.Copies > 0) copied++;
            var drafts = simulation.Scheduler.Drafted;
            if (drafts.Accepted(DraftSource.Ngram) > 0 && drafts.Accepted(DraftSource.Ngram) < drafts.Tokens(DraftSource.Ngram)) guessed++;
            if (simulation.Disks is { Restored: > 0 }) restored++;
            if (simulation.Disks is { Failed: > 0 }) unreadable++;
        }).Check(Checks);
        Assert.All([preempted, shared, copied, guessed, restored, unreadable], count => Assert.InRange(count, loads / 20, loads));
    }

    [Fact]
    public void Streams_are_shared_out_over_the_steps_in_flight()
    {
        var scheduler = Scheduler(stages: 3);
        for (ulong id = 1; id <= 7; id++) scheduler.Add(Sequence(id, promptLength: 1));
        foreach (var step in ScheduleAll(scheduler)) Return(scheduler, step);
        Assert.Equal([3, 3, 1], ScheduleAll(scheduler).Select(step => step.Chunks.Count));
    }

    [Fact]
    public void A_sequence_whose_token_is_being_computed_is_in_no_second_step()
    {
        var scheduler = Scheduler(stages: 2);
        scheduler.Add(Sequence(1, promptLength: 1));
        Assert.NotNull(scheduler.Schedule());
        Assert.Null(scheduler.Schedule());
    }

    [Fact]
    public void One_prompt_is_cut_so_that_all_stages_work_on_it()
    {
        var scheduler = Scheduler(stages: 3);
        scheduler.Add(Sequence(1, promptLength: 120));
        Assert.Equal([(0, 40, 0), (40, 40, 0), (80, 40, 1)],
            ScheduleAll(scheduler).Select(step => step.Chunks.Single()).Select(chunk => (chunk.Start, chunk.Count, chunk.SampleCount)));
    }

    [Fact]
    public void A_long_prompt_leaves_room_for_streams_in_every_step()
    {
        var scheduler = Scheduler(stages: 1);
        var stream = Sequence(1, promptLength: 1);
        scheduler.Add(stream);
        var step = scheduler.Schedule()!;
        scheduler.Add(Sequence(2, promptLength: 1000));
        for (var i = 0; i < 9; i++)
        {
            Return(scheduler, step);
            step = scheduler.Schedule()!;
            Assert.Same(stream, step.Chunks[0].Run);
            Assert.InRange(step.Rows, 2, 1 + 128);
        }
    }

    [Fact]
    public void The_queue_has_a_bound()
    {
        var scheduler = Scheduler(stages: 1, waiting: 1, running: 1);
        Assert.Equal(AddOutcome.Queued, scheduler.Add(Sequence(1, 5)));
        Assert.Equal(AddOutcome.Queued, scheduler.Add(Sequence(2, 5)));
        Assert.Equal(AddOutcome.QueueFull, scheduler.Add(Sequence(3, 5)));
    }

    [Theory]
    [InlineData(16, 1, AddOutcome.Queued)]
    [InlineData(17, 1, AddOutcome.NeverFits)]
    [InlineData(1, 16, AddOutcome.Queued)]
    [InlineData(2, 16, AddOutcome.NeverFits)]
    [InlineData(16, 0, AddOutcome.Queued)]
    public void What_could_outgrow_the_pool_is_refused_at_once(int promptLength, int maxTokens, AddOutcome expected)
        => Assert.Equal(expected, Scheduler(stages: 1, blocks: 1).Add(Sequence(1, promptLength, maxTokens)));

    [Fact]
    public void The_youngest_gives_way_and_comes_back_from_its_tokens()
    {
        // Two sequences of 16 positions and one spare block: both ask for a second block when they pass their 16th token.
        var scheduler = Scheduler(stages: 1, blocks: 3);
        SequenceRun older = Sequence(1, promptLength: 15, maxTokens: 4), younger = Sequence(2, promptLength: 15, maxTokens: 19);
        scheduler.Add(older);
        scheduler.Add(younger);
        for (var i = 0; i < 2; i++) Return(scheduler, scheduler.Schedule()!);
        var contested = scheduler.Schedule()!;
        Assert.Same(older, contested.Chunks[0].Run);
        while (!older.Ended)
        {
            Return(scheduler, contested);
            if (!older.Ended) contested = scheduler.Schedule()!;
        }
        while (scheduler.Schedule() is { } step) Return(scheduler, step);
        Assert.True(younger.Ended);
        Assert.Equal(19, younger.Sequence.GeneratedLength);
        Assert.Equal(3, scheduler.Pool.Available);
    }

    [Fact]
    public void Cancelling_frees_the_blocks_at_once_and_tells_the_workers_before_the_next_step()
    {
        var scheduler = Scheduler(stages: 2, blocks: 2);
        var sequence = Sequence(1, promptLength: 20, maxTokens: 5);
        scheduler.Add(sequence);
        var step = scheduler.Schedule()!;
        scheduler.Cancel(sequence);
        Assert.Equal(2, scheduler.Pool.Available);
        scheduler.Add(Sequence(2, promptLength: 20, maxTokens: 5));
        Assert.Equal([1ul], scheduler.Schedule()!.Ended);
        Assert.Empty(scheduler.Complete(step, [new ChunkResult([new SampledToken(5, -1, [])], [])]));
    }

    [Fact]
    public void A_waiting_sequence_can_be_cancelled_and_the_workers_never_hear_of_it()
    {
        var scheduler = Scheduler(stages: 1);
        var sequence = Sequence(1, 5);
        scheduler.Add(sequence);
        scheduler.Cancel(sequence);
        scheduler.Cancel(sequence);
        Assert.Null(scheduler.Schedule());
        Assert.Empty(scheduler.TakeEnded());
    }

    [Fact]
    public void Tokens_after_a_stop_id_are_dropped()
    {
        var scheduler = Scheduler(stages: 1);
        scheduler.Add(Sequence(1, promptLength: 3, maxTokens: 9));
        var step = scheduler.Schedule()!;
        var advance = Assert.Single(scheduler.Complete(step, [new ChunkResult([Token(5), Token(7), Token(6)], [])]));
        Assert.Equal([5, 7], advance.Tokens.Select(token => token.Id));
        Assert.Equal(FinishReason.Stop, advance.Finished);
    }

    static StepScheduler Scheduler(int stages, int blocks = 100, int waiting = 100, int running = 100)
        => new(new SchedulerLimits { StepsInFlight = stages, MaxRunning = running, MaxWaiting = waiting }, new KvBlockPool(blocks));

    static SequenceRun Sequence(ulong id, int promptLength, int maxTokens = 10)
        => TestSequence.Of(id, [.. Enumerable.Repeat(1000 + (int)id, promptLength)], maxTokens, null, 7);

    static SampledToken Token(int id) => new(id, -1, []);

    static List<ScheduledStep> ScheduleAll(StepScheduler scheduler)
    {
        List<ScheduledStep> steps = [];
        while (scheduler.Schedule() is { } step) steps.Add(step);
        return steps;
    }

    static void Return(StepScheduler scheduler, ScheduledStep step)
        => scheduler.Complete(step, [.. step.Chunks.Select(chunk => new ChunkResult(chunk.SampleCount == 0 ? [] : [Token(5)], []))]);
}
