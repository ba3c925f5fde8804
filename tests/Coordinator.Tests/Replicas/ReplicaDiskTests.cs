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
    public void Disks_that_are_silent_for_too_long_keep_nobody_waiting()
    {
        Assert.True(_disk.Tier.TryRestore(_run, most: 6, room: 10));
        _disk.SendMoves();
        Assert.Single(Assert.Single(_disks.Moved).Restores);
        _time.Advance(ReplicaDisk.Patience - TimeSpan.FromSeconds(1));
        Assert.Equal(0, _woken);
        // One worker answers: all have time again.
        _disk.Tier.Update(new DiskReport.Changed(0, [], [], 1));
        _disk.SendMoves();
        _time.Advance(ReplicaDisk.Patience - TimeSpan.FromSeconds(1));
        _disk.SendMoves();
        Assert.Equal(1, _disk.Tier.Restoring);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.NotEqual(0, _woken);
        _disk.SendMoves();
        _disk.SendMoves();   // the loop was woken once more
        Assert.Equal((0, 0, 0), (_disk.Tier.Restoring, _disk.Tier.Count, _pool.Held));
        Assert.Equal([1ul], _disks.Moved[^1].GivenUp);
    }

    [Fact]
    public void Nobody_is_late_while_nobody_waits()
    {
        Assert.True(_disk.Tier.TryRestore(_run, most: 6, room: 10));
        _disk.SendMoves();
        _time.Advance(ReplicaDisk.Patience / 2);
        for (var worker = 0; worker < 2; worker++) _disk.Tier.Update(new DiskReport.Restored(worker, 1, 6));
        _disk.SendMoves();
        _time.Advance(2 * ReplicaDisk.Patience);
        _disk.SendMoves();
        Assert.Equal((6, true), (_disk.Tier.Count, _disk.Tier.IsIdle));
    }

    public void Dispose() => _disk.Dispose();

    sealed class Disks : IWorkerDisks
    {
        public List<BlockMoves> Moved { get; } = [];

        public int Count => 2;

        public int SpillsAtOnce => 4;

        public void Move(BlockMoves moves) => Moved.Add(moves);

        public void Follow(Action<DiskReport> report) => throw new NotSupportedException();
    }
}
