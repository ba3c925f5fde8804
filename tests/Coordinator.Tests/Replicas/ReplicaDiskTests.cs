using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Replicas;

/// <summary>How long sequences wait for disks that do not answer.</summary>
public sealed class ReplicaDiskTests : IDisposable
{
    static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    readonly ManualTimeProvider _time = new();
    readonly KvBlockPool _pool = new(100);
    readonly Disks _disks = new();
    readonly ReplicaDisk _disk;
    readonly SequenceRun _run = TestSequence.Of(1, [.. Enumerable.Range(0, 100)], maxTokens: 1);
    int _woken;

    public ReplicaDiskTests()
    {
        _disk = new ReplicaDisk(_disks, _pool, () => _woken++, _time, NullLogger.Instance);
        for (var worker = 0; worker < 2; worker++)
            _disk.Tier.Update(new DiskReport.Changed(worker, [.. Enumerable.Range(1, 6).Select(block => _run.Keys.Of(block * KvBlock.Positions))], [], 0));
    }

    [Fact]
    public void A_worker_that_gives_nothing_back_keeps_nobody_waiting_whatever_else_it_and_others_say()
    {
        BeginToRead();
        Assert.Single(Assert.Single(_disks.Moved).Restores);
        Pass(Second);
        _disk.Tier.Update(new DiskReport.Restored(0, 1, 6));
        _disk.Tier.Update(new DiskReport.Changed(1, [], [], 1));   // it writes, but does not read
        Pass(_disks.Patience - (2 * Second));
        Assert.Equal((1, 0), (_disk.Tier.Restoring, _woken));
        Pass(Second);
        Assert.NotEqual(0, _woken);
        _disk.SendMoves();   // the loop was woken once more
        Assert.Equal((0, 0, 0), (_disk.Tier.Restoring, _disk.Tier.Count, _pool.Held));
        Assert.Equal([1ul], _disks.Moved[^1].GivenUp);
    }

    [Fact]
    public void A_restore_may_take_as_long_as_blocks_come_back()
    {
        BeginToRead();
        _disk.Tier.Update(new DiskReport.Restored(0, 1, 6));
        for (var i = 0; i < 5; i++)
        {
            Pass(_disks.Patience - Second);
            _disk.Tier.Update(new DiskReport.Restoring(1));
            _disk.SendMoves();
        }
        _disk.Tier.Update(new DiskReport.Restored(1, 1, 6));
        _disk.SendMoves();
        Assert.Equal((0, 6), (_disk.Tier.Restoring, _disk.Tier.Restored));
    }

    [Fact]
    public void Nobody_is_late_while_nobody_waits()
    {
        BeginToRead();
        Pass(_disks.Patience / 2);
        for (var worker = 0; worker < 2; worker++) _disk.Tier.Update(new DiskReport.Restored(worker, 1, 6));
        _disk.SendMoves();
        Pass(2 * _disks.Patience);
        Assert.Equal((6, true), (_disk.Tier.Count, _disk.Tier.IsIdle));
    }

    [Fact]
    public void What_does_not_fit_into_one_message_follows_at_once_where_no_answer_would_bring_it_up_again()
    {
        // Of each sequence one message names the blocks that it used; one message does not hold those of two long ones.
        var run = TestSequence.Of(2, [.. Enumerable.Range(0, 5000 * KvBlock.Positions)], maxTokens: 1);
        for (var i = 0; i < 4; i++) _disk.Tier.Use(run, 5000);
        _disk.SendMoves();
        Assert.True(_disk.Tier.IsIdle);
        Assert.Equal([10_000, 10_000], _disks.Moved.Select(moves => moves.Used.Count));
    }

    void BeginToRead()
    {
        Assert.True(_disk.Tier.TryRestore(_run, most: 6, room: 10));
        _disk.SendMoves();
    }

    void Pass(TimeSpan time)
    {
        _time.Advance(time);
        _disk.SendMoves();
    }

    public void Dispose() => _disk.Dispose();

    sealed class Disks : IWorkerDisks
    {
        public List<BlockMoves> Moved { get; } = [];

        public int Count => 2;

        public int SpillsAtOnce => 4;

        public TimeSpan Patience => TimeSpan.FromSeconds(90);

        public string NameOf(int worker) => $"worker {worker}";

        public void Move(BlockMoves moves) => Moved.Add(moves);

        public void Follow(Action<DiskReport> report) => throw new NotSupportedException();
    }
}
