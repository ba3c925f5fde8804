using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Who replaces whom when there is no room for both.</summary>
public sealed class PriorityTests
{
    /// <summary>The steps of each scheduler that have not returned yet.</summary>
    static readonly ConditionalWeakTable<StepScheduler, Queue<ScheduledStep>> InFlight = [];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_newcomer_of_a_higher_priority_replaces_the_last_of_a_lower_one_when_all_places_are_taken(int stages)
    {
        var scheduler = Scheduler(stages, blocks: 100, running: 2);
        SequenceRun first = Of(1, 5, priority: 1), second = Of(2, 5, priority: 1), urgent = Of(3, 5, priority: 0);
        scheduler.Add(first);
        scheduler.Add(second);
        Turn(scheduler, 2 * stages);
        scheduler.Add(urgent);
        Turn(scheduler, stages + 1);
        Assert.Equal([urgent, first], scheduler.Running);
        Assert.Equal(1, scheduler.Preemptions);
        Turn(scheduler, 1000);
        Assert.All([first, second, urgent], run => Assert.Equal((true, 30), (run.Ended, run.Sequence.GeneratedLength)));
        Assert.Equal(1, scheduler.Preemptions);   // the one that gave way did not push anybody out when it came back
    }

    [Fact]
    public void So_it_does_when_the_blocks_are_taken_even_if_those_below_share_them()
    {
        var scheduler = Scheduler(stages: 1, blocks: 8, running: 8);
        int[] prompt = [.. Enumerable.Repeat(7, 64)];
        List<SequenceRun> below = [.. Enumerable.Range(1, 3).Select(id => TestSequence.Of((ulong)id, Request(prompt, priority: 1)))];
        foreach (var run in below) scheduler.Add(run);
        Turn(scheduler, 4);
        var urgent = TestSequence.Of(9, Request([.. Enumerable.Repeat(8, 90)], priority: 0));
        scheduler.Add(urgent);
        Turn(scheduler, 1);
        Assert.Contains(urgent, scheduler.Running);
        Turn(scheduler, 1000);
        Assert.All(below.Append(urgent), run => Assert.Equal((true, 30), (run.Ended, run.Sequence.GeneratedLength)));
    }

    [Fact]
    public void The_same_priority_never_replaces_and_nobody_goes_in_vain()
    {
        var scheduler = Scheduler(stages: 1, blocks: 8, running: 3);
        SequenceRun equal = Of(1, 60, priority: 0), below = Of(2, 20, priority: 1);
        scheduler.Add(equal);
        scheduler.Add(below);
        Turn(scheduler, 2);
        scheduler.Add(Of(3, 80, priority: 0));   // all that is below it would not be enough
        Turn(scheduler, 5);
        Assert.Equal([equal, below], scheduler.Running);
        Assert.Equal(0, scheduler.Preemptions);
    }

    [Fact]
    public void A_paused_sequence_is_in_no_step_and_goes_on_when_it_is_resumed()
    {
        var scheduler = Scheduler(stages: 1, blocks: 100, running: 8);
        var run = Of(1, 5, priority: 0);
        scheduler.Add(run);
        Turn(scheduler, 3);
        scheduler.Pause(run);
        Assert.Null(scheduler.Schedule());
        scheduler.Resume(run);
        Turn(scheduler, 1000);
        Assert.Equal((true, 30, 0L), (run.Ended, run.Sequence.GeneratedLength, scheduler.Preemptions));
    }

    [Fact]
    public void A_paused_sequence_gives_way_to_anybody_and_comes_back_when_it_is_resumed()
    {
        var scheduler = Scheduler(stages: 1, blocks: 100, running: 1);
        SequenceRun slow = Of(1, 5, priority: 0), next = Of(2, 5, priority: 3);
        scheduler.Add(slow);
        Turn(scheduler, 3);
        scheduler.Pause(slow);
        scheduler.Add(next);
        Turn(scheduler, 2);
        Assert.Equal([next], scheduler.Running);
        Assert.Equal(1, scheduler.WaitingCount);
        scheduler.Resume(slow);
        Turn(scheduler, 1000);
        Assert.All([slow, next], run => Assert.Equal((true, 30), (run.Ended, run.Sequence.GeneratedLength)));
    }

    [Fact]
    public void A_paused_sequence_that_gave_way_can_be_cancelled()
    {
        var scheduler = Scheduler(stages: 1, blocks: 100, running: 1);
        SequenceRun slow = Of(1, 5, priority: 0), next = Of(2, 5, priority: 0);
        scheduler.Add(slow);
        Turn(scheduler, 3);
        scheduler.Pause(slow);
        scheduler.Add(next);
        Turn(scheduler, 2);
        scheduler.Cancel(slow);
        Turn(scheduler, 1000);
        Assert.Equal((0, 0, 100), (scheduler.WaitingCount, scheduler.RunningCount, scheduler.Pool.Available));
    }

    [Fact]
    public void One_client_may_have_its_share_of_the_waiting_places_and_others_still_find_some()
    {
        var scheduler = new StepScheduler(
            new SchedulerLimits { StepsInFlight = 1, MaxRunning = 1, MaxWaiting = 8, MaxWaitingPerClient = 2 }, new KvBlockPool(100));
        Assert.Equal(AddOutcome.Queued, scheduler.Add(Of(1, 5, client: "a")));
        scheduler.Schedule();
        for (ulong id = 2; id <= 3; id++) Assert.Equal(AddOutcome.Queued, scheduler.Add(Of(id, 5, client: "a", priority: (int)id)));
        Assert.Equal(AddOutcome.ClientQueueFull, scheduler.Add(Of(4, 5, client: "a")));
        Assert.Equal(AddOutcome.Queued, scheduler.Add(Of(5, 5, client: "b")));
    }

    [Fact]
    public void A_group_comes_in_as_a_whole_or_not_at_all()
    {
        var scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxRunning = 2, MaxWaiting = 4 }, new KvBlockPool(4));
        Assert.Equal(AddOutcome.Queued, scheduler.Add([.. Enumerable.Range(1, 4).Select(id => Of((ulong)id, 5))]));
        Assert.Equal(AddOutcome.QueueFull, scheduler.Add([.. Enumerable.Range(5, 3).Select(id => Of((ulong)id, 5))]));
        Assert.Equal(AddOutcome.NeverFits, scheduler.Add([Of(8, 5), Of(9, 100)]));
        Assert.Equal(4, scheduler.WaitingCount);
        Assert.Equal(AddOutcome.Queued, scheduler.Add([.. Enumerable.Range(10, 2).Select(id => Of((ulong)id, 5))]));
    }

    static StepScheduler Scheduler(int stages, int blocks, int running)
        => new(new SchedulerLimits { StepsInFlight = stages, MaxRunning = running, MaxStepRows = 512 }, new KvBlockPool(blocks));

    static SequenceRun Of(ulong id, int length, int priority = 0, string client = "")
        => TestSequence.Of(id, Request([.. Enumerable.Repeat(1000 + (int)id, length)], priority) with { Client = client });

    static SequenceRequest Request(int[] prompt, int priority) => new(prompt, new SamplingOptions(), 30, new HashSet<int>()) { Priority = priority };

    /// <summary>Steps return in order, at most so many, and each is followed by all that can be scheduled then.</summary>
    static void Turn(StepScheduler scheduler, int returns)
    {
        Queue<ScheduledStep> inFlight = InFlight.GetOrCreateValue(scheduler);
        for (var i = 0; i <= returns; i++)
        {
            while (scheduler.Schedule() is { } step) inFlight.Enqueue(step);
            SchedulerInvariants.Check(scheduler);
            if (i == returns || !inFlight.TryDequeue(out var returned)) return;
            scheduler.Complete(
                returned, [.. returned.Chunks.Select(chunk => new ChunkResult(chunk.SampleCount == 0 ? [] : [new SampledToken(5, -1, [])], []))]);
        }
    }
}
