using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>When blocks are written to disk and read back. That the right KV comes back is <see cref="Simulation"/>'s to check.</summary>
public sealed class DiskTierTests
{
    const int Workers = 2;

    KvBlockPool _pool = null!;
    DiskTier _disk = null!;
    StepScheduler _scheduler = null!;
    ulong _lastId;

    public DiskTierTests() => Start(blocks: 100);

    [Fact]
    public void A_full_block_is_written_after_the_step_that_fills_it_and_counts_when_all_workers_have_it()
    {
        var run = Add(Prompt(40));
        var step = _scheduler.Schedule()!;
        Assert.Null(step.Moves);
        var moves = _disk.TakeMoves()!;
        Assert.Equal([(run.Blocks[0], run.Keys.Of(16)), (run.Blocks[1], run.Keys.Of(32))], moves.Spills.Select(spill => (spill.Block, spill.Key)));
        Assert.False(_disk.IsIdle);
        Keep(0, moves);
        Assert.Equal((0, false), (_disk.Count, _disk.IsIdle));
        Keep(1, moves);
        Assert.Equal((2, true), (_disk.Count, _disk.IsIdle));
        Assert.Null(_disk.TakeMoves());
    }

    [Fact]
    public void No_more_is_ordered_at_a_time_than_the_workers_have_buffers_for()
    {
        Start(blocks: 100, spillsAtOnce: 3);
        Finish(Add(Prompt(16 * 7), maxTokens: 0));
        var first = _disk.TakeMoves()!;
        Assert.Equal(3, first.Spills.Count);
        Assert.Null(_disk.TakeMoves());
        Keep(0, first);
        Assert.Null(_disk.TakeMoves());   // the other worker's buffers are still full
        Keep(1, first);
        Assert.Equal(3, _disk.TakeMoves()!.Spills.Count);
    }

    [Fact]
    public void A_block_that_is_used_for_something_else_is_written_before_the_step_that_does_so()
    {
        Start(blocks: 6);
        Finish(Add(Prompt(16 * 4, kind: 1), maxTokens: 0));   // no turn has come yet in which its blocks could be written
        var other = Add(Prompt(16 * 6 - 4, kind: 2));
        var step = _scheduler.Schedule()!;
        Assert.Contains(step.Moves!.Spills, spill => step.Chunks[0].NewBlocks.Contains(spill.Block));
        Assert.Equal(4, step.Moves.Spills.DistinctBy(spill => spill.Key).Count());
        Assert.Equal(other, step.Chunks[0].Run);
    }

    [Fact]
    public void What_the_workers_have_on_disk_is_read_and_the_rest_computed()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        var run = Add(prompt);
        Assert.Null(_scheduler.Schedule());
        var restore = Assert.Single(_disk.TakeMoves()!.Restores);
        Assert.Equal(known, restore.Blocks.Select(block => block.Key));
        Assert.Equal(6, _pool.Held);

        _disk.Update(new DiskReport.Restored(0, restore.Id, 6));
        Assert.Null(_scheduler.Schedule());
        _disk.Update(new DiskReport.Restored(1, restore.Id, 6));
        var step = _scheduler.Schedule()!;
        Assert.Equal((96, 4, 96), (step.Chunks[0].Start, step.Chunks[0].Count, run.Sequence.CachedTokens));
        Assert.Equal(restore.Blocks.Select(block => block.Block), run.Blocks.Take(6));
    }

    [Theory]
    [InlineData(6, 2, 2)]
    [InlineData(0, 6, 0)]
    [InlineData(3, 3, 3)]
    public void What_a_worker_cannot_read_is_computed(int readByFirst, int readBySecond, int restored)
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        var run = Add(prompt);
        Assert.Null(_scheduler.Schedule());
        var restore = Assert.Single(_disk.TakeMoves()!.Restores);
        _disk.Update(new DiskReport.Restored(0, restore.Id, readByFirst));
        _disk.Update(new DiskReport.Restored(1, restore.Id, readBySecond));
        var step = _scheduler.Schedule()!;
        Assert.Equal((restored * 16, 100 - (restored * 16)), (run.Sequence.CachedTokens, step.Chunks[0].Count));
        Assert.Empty(_disk.Held);
    }

    [Fact]
    public void A_block_that_only_some_workers_have_is_computed()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        _disk.Update(new DiskReport.Changed(0, known, [], 0));
        _disk.Update(new DiskReport.Changed(1, known[..2], [], 0));
        _disk.Update(new DiskReport.Changed(1, [], known[1..2], 0));
        Add(prompt);
        Assert.Null(_scheduler.Schedule());
        Assert.Equal(known[..1], Assert.Single(_disk.TakeMoves()!.Restores).Blocks.Select(block => block.Key));
    }

    [Fact]
    public void Others_go_on_while_one_waits_for_the_disk_and_who_begins_alike_waits_with_it()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        SequenceRun first = Add(prompt), other = Add(Prompt(20, kind: 1), "b"), alike = Add([.. prompt[..80], 1, 2, 3], "c");
        var step = _scheduler.Schedule()!;
        Assert.Equal(other, Assert.Single(step.Chunks).Run);
        var restore = Assert.Single(step.Moves!.Restores);
        Return(step);
        step = _scheduler.Schedule()!;
        Assert.Equal(other, Assert.Single(step.Chunks).Run);
        Return(step);
        Restore(restore);
        step = _scheduler.Schedule()!;
        Assert.Equal([other, first, alike], step.Chunks.Select(chunk => chunk.Run));
        Assert.Equal((96, 80), (first.Sequence.CachedTokens, alike.Sequence.CachedTokens));
    }

    [Fact]
    public void A_sequence_that_is_cancelled_meanwhile_leaves_what_was_read_to_others()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        var cancelled = Add(prompt);
        Assert.Null(_scheduler.Schedule());
        var restore = Assert.Single(_disk.TakeMoves()!.Restores);
        _scheduler.Cancel(cancelled);
        Restore(restore);
        Assert.Equal((0, 6), (_pool.Held, _pool.Cached));
        var next = Add(prompt);
        Assert.Equal(96, _scheduler.Schedule()!.Chunks[0].Start);
        Assert.Equal(96, next.Sequence.CachedTokens);
    }

    [Fact]
    public void What_another_reads_is_not_ordered_again_when_the_blocks_before_it_were_found_bad()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        var bad = Add([.. prompt[..32], 1], "a");   // its first two blocks are read for it
        Add(prompt, "b");
        Assert.Null(_scheduler.Schedule());
        Restore(Assert.Single(_disk.TakeMoves()!.Restores));
        var step = _scheduler.Schedule()!;
        Assert.Equal(bad, Assert.Single(step.Chunks).Run);
        Assert.Equal(known[2..], Assert.Single(step.Moves!.Restores).Blocks.Select(block => block.Key));
        _scheduler.Complete(step, [ChunkResult.Failed("numbers are not finite")]);
        Assert.True(bad.Ended);

        Add(prompt, "c");
        Assert.Null(_scheduler.Schedule());
        Assert.Equal(known[..2], Assert.Single(_disk.TakeMoves()!.Restores).Blocks.Select(block => block.Key));
    }

    [Fact]
    public void Without_room_for_all_of_it_nothing_is_read()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 8);
        Announce(known);
        var running = Add(Prompt(30, kind: 1), "b");
        var step = _scheduler.Schedule()!;
        Assert.Equal(running, step.Chunks[0].Run);
        Add(prompt);
        Return(step);
        Assert.Empty(_scheduler.Schedule()!.Moves?.Restores ?? []);
        Assert.Empty(_disk.Held);
    }

    [Fact]
    public void Disks_that_are_given_up_keep_nobody_waiting()
    {
        var prompt = Prompt(100);
        var known = WriteAll(prompt);
        Start(blocks: 100);
        Announce(known);
        var run = Add(prompt);
        Assert.Null(_scheduler.Schedule());
        var restore = Assert.Single(_disk.TakeMoves()!.Restores);
        _disk.GiveUp();
        var step = _scheduler.Schedule()!;
        Assert.Equal((0, 0), (step.Chunks[0].Start, run.Sequence.CachedTokens));
        Assert.Equal([restore.Id], step.Moves!.GivenUp);   // before any worker gets the blocks for something else
        Assert.Empty(_disk.Held);
        Return(step);
        Restore(restore);   // too late
        Assert.Equal((0, true), (_disk.Restored, _disk.IsIdle));
        Assert.Null(_disk.TakeMoves());
    }

    [Fact]
    public void The_first_blocks_of_a_sequence_that_ended_count_as_used_last()
    {
        var run = Add(Prompt(50));
        Finish(run);
        List<PrefixCacheKey> used = [];
        while (_disk.TakeMoves() is { } moves)
        {
            used.AddRange(moves.Used);
            foreach (var worker in new[] { 0, 1 }) Keep(worker, moves);
        }
        Assert.Equal([run.Keys.Of(48), run.Keys.Of(32), run.Keys.Of(16)], used);
    }

    void Start(int blocks, int spillsAtOnce = 100)
    {
        _pool = new KvBlockPool(blocks);
        _disk = new DiskTier(_pool, Workers, spillsAtOnce);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxPromptRows = 512 }, _pool, _disk);
    }

    /// <summary>The keys of all full blocks of a prompt.</summary>
    PrefixCacheKey[] WriteAll(int[] prompt)
    {
        var run = Add(prompt);
        Finish(run);
        return [.. Enumerable.Range(1, prompt.Length / 16).Select(blocks => run.Keys.Of(blocks * 16))];
    }

    void Announce(PrefixCacheKey[] keys)
    {
        for (var worker = 0; worker < Workers; worker++) _disk.Update(new DiskReport.Changed(worker, keys, [], 0));
    }

    void Keep(int worker, BlockMoves moves) =>
        _disk.Update(new DiskReport.Changed(worker, [.. moves.Spills.Select(spill => spill.Key)], [], moves.Spills.Count));

    void Restore(BlockRestore restore)
    {
        for (var worker = 0; worker < Workers; worker++) _disk.Update(new DiskReport.Restored(worker, restore.Id, restore.Blocks.Count));
    }

    SequenceRun Add(int[] prompt, string client = "a", int maxTokens = 3)
    {
        var run = TestSequence.Of(++_lastId, new SequenceRequest(prompt, new SamplingOptions(), maxTokens, new HashSet<int>()) { Client = client });
        Assert.Equal(AddOutcome.Queued, _scheduler.Add(run));
        return run;
    }

    /// <summary>Runs it to its end. What is to be written stays in the queue, except what a step takes along.</summary>
    void Finish(SequenceRun run)
    {
        while (!run.Ended) Return(_scheduler.Schedule()!);
    }

    void Return(ScheduledStep step) => _scheduler.Complete(
        step, [.. step.Chunks.Select(chunk => chunk.SampleCount == 0 ? ChunkResult.Empty : new ChunkResult([new SampledToken(5, -1, [])], []))]);

    static int[] Prompt(int length, int kind = 0) => [.. Enumerable.Range(0, length).Select(i => (1000 * kind) + i)];
}
