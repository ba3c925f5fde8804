using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

/// <summary>No message of a step is larger than workers accept, whatever the sequences are.</summary>
public sealed class MessageBudgetTests
{
    static readonly int[] Stages = [0, 2, 4];   // first layers

    [Theory]
    [InlineData(0, 0)]
    [InlineData(20_000, 0)]
    [InlineData(100_000, 0)]
    [InlineData(0, 128)]
    public void Sequences_that_begin_on_a_long_shared_prefix_are_spread_over_several_steps(int biases, int requestId)
    {
        int[] prefix = [.. Enumerable.Range(0, 60_000).Select(position => 2_000_000_000 + position)];
        var bias = Enumerable.Range(0, biases).ToDictionary(id => 2_000_000_000 + id, _ => 1.5f);
        int[] ends = [.. Enumerable.Range(2_000_000_000, 5000)];
        var sampling = new SamplingOptions { RepetitionPenalty = 1.1f, LogitBias = bias, MinTokens = int.MaxValue, EndIds = ends };
        var scheduler = new StepScheduler(
            new SchedulerLimits
            {
                StepsInFlight = 1,
                MaxStepRows = 65_536,
                MaxPromptRows = 65_000,
                MaxRunning = 65,
                MaxStepBytes = MessageBudgets.Message,
                MaxDraftTokens = 7,
            },
            new KvBlockPool(300_000));
        List<SequenceRun> runs = [TestSequence.Of(1, prefix, maxTokens: 1)];
        scheduler.Add(runs[0]);
        Return(scheduler, scheduler.Schedule()!);
        for (ulong id = 2; id <= 65; id++)
            runs.Add(TestSequence.Of(
                id, new SequenceRequest([.. prefix, (int)id, 3, 4], sampling, 3, new HashSet<int>()) { RequestId = new string('r', requestId) }));
        foreach (var run in runs[1..]) Assert.Equal(AddOutcome.Queued, scheduler.Add(run));

        var steps = 0;
        for (; scheduler.Schedule() is { } step; steps++)
        {
            Assert.All(StepMessages.HistoriesOf(step, 1, Stages[^1]), history => Assert.InRange(history.History.CalculateSize(), 0, MessageBudgets.Message));
            foreach (var message in StepMessages.Of(step, ulong.MaxValue, ulong.MaxValue, Stages))
                Assert.InRange(message.Step.CalculateSize(), 1, MessageBudgets.Message);
            Return(scheduler, step);
        }
        Assert.All(runs, run => Assert.True(run.Ended));
        if (biases > 0) Assert.InRange(steps, 64 * biases * 12 / MessageBudgets.Message, 200);
    }

    [Fact]
    public void The_largest_restores_and_spills_keep_the_budget()
    {
        const int blocks = 70_000;
        int[] prompt = [.. Enumerable.Range(0, (blocks * 16) + 1)];
        var run = TestSequence.Of(1, prompt, maxTokens: 0);
        var pool = new KvBlockPool(2 * blocks);
        var disk = new DiskTier(pool, workers: 1, spillsAtOnce: 64);
        disk.Update(new DiskReport.Changed(0, [.. Enumerable.Range(1, blocks).Select(block => run.Keys.Of(block * 16))], [], 0));
        var scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxStepRows = 65_536, MaxPromptRows = 65_000 }, pool, disk);
        scheduler.Add(run);
        var restored = 0;
        while (scheduler.Schedule() is null)
        {
            var moves = disk.TakeMoves()!;
            foreach (var message in WorkerDisks.MessagesOf(moves, ulong.MaxValue)) Assert.InRange(message.CalculateSize(), 1, MessageBudgets.Message);
            foreach (var restore in moves.Restores)
            {
                restored += restore.Blocks.Count;
                disk.Update(new DiskReport.Restored(0, restore.Id, restore.Blocks.Count));
            }
        }
        Assert.Equal((blocks, blocks * 16), (restored, run.Sequence.CachedTokens));
        scheduler.Cancel(run);
        for (var moves = disk.TakeMoves(); moves is not null; moves = disk.TakeMoves())
            foreach (var message in WorkerDisks.MessagesOf(moves, ulong.MaxValue)) Assert.InRange(message.CalculateSize(), 1, MessageBudgets.Message);
    }

    [Fact]
    public void The_largest_sequence_that_the_rules_allow_keeps_the_budget_alone()
    {
        var bias = Enumerable.Range(0, 131_072).ToDictionary(id => int.MaxValue - 200_000 + id, _ => 1.5f);
        var request = new SequenceRequest(
            [.. Enumerable.Repeat(int.MaxValue - 200_001, 65_536)],
            new SamplingOptions { LogitBias = bias }, 1, new HashSet<int>())
        {
            RequestId = new string('r', 128),
            TraceParent = new string('t', 128),
        };
        Assert.Null(new SequenceRules(int.MaxValue, int.MaxValue).FirstProblem(request));
        var scheduler = new StepScheduler(
            new SchedulerLimits { StepsInFlight = 1, MaxStepRows = 65_536, MaxPromptRows = 65_536, MaxStepBytes = MessageBudgets.Message },
            new KvBlockPool(5000));
        scheduler.Add(TestSequence.Of(ulong.MaxValue, request));
        var step = scheduler.Schedule()!;
        Assert.Equal(65_536, step.Rows);
        Assert.All(StepMessages.Of(step, 1, 1, Stages), message => Assert.InRange(message.Step.CalculateSize(), 1, MessageBudgets.Message));
    }

    static void Return(StepScheduler scheduler, ScheduledStep step)
        => scheduler.Complete(step, [.. step.Chunks.Select(chunk => new ChunkResult(chunk.SampleCount == 0 ? [] : [new SampledToken(5, -1, [])], []))]);
}
