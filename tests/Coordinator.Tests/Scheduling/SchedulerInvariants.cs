using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>What holds between any two calls of a scheduler.</summary>
static class SchedulerInvariants
{
    /// <summary>Who began, of those that wait, and who gave way, of those that run, while a step was scheduled.</summary>
    /// <param name="before">Those that ran, with the steps that each was in.</param>
    /// <param name="all">That have not been refused.</param>
    /// <param name="cachePrefixes">Then who waits for a prefix lets others go first.</param>
    public static void CheckOrder(
        IReadOnlyDictionary<SequenceRun, int> before, IReadOnlyList<SequenceRun> after, IEnumerable<SequenceRun> all, bool cachePrefixes)
    {
        // A paused sequence gives way to anybody.
        foreach (var preempted in before.Keys.Except(after).Where(run => !run.Paused))
            Assert.All(after, other =>
                Assert.True(Rank(other).CompareTo(Rank(preempted)) < 0 || before[other] > 0, $"{preempted.Id} gave way before {other.Id}"));
        var waiting = all.Where(sequence => sequence is { Ended: false, Paused: false }).Except(before.Keys).Except(after).ToList();
        foreach (var begun in after.Except(before.Keys))
        {
            Assert.DoesNotContain(waiting, other => other.Client == begun.Client && other.Priority == begun.Priority && other.Id < begun.Id);
            if (!cachePrefixes) Assert.DoesNotContain(waiting, other => other.Priority < begun.Priority);
        }
        static (int, ulong) Rank(SequenceRun sequence) => (sequence.Priority, sequence.Id);
    }

    /// <summary>Blocks are accounted for, once each.</summary>
    public static void Check(StepScheduler scheduler)
    {
        var pool = scheduler.Pool;
        Assert.Equal(pool.Total, pool.Held + pool.Cached + pool.Free);
        Assert.True(pool is { Held: >= 0, Cached: >= 0, Free: >= 0 }, $"held {pool.Held}, cached {pool.Cached}, free {pool.Free}");
        var holders = new int[pool.Total];
        foreach (var sequence in scheduler.Running)
        {
            Assert.False(sequence.Ended);
            Assert.Equal(sequence.Blocks.Count, sequence.Blocks.Distinct().Count());
            foreach (var block in sequence.Blocks) holders[block]++;
            // Only blocks that are full of known tokens are shared: nobody may write to them.
            for (var i = sequence.Scheduled / KvBlock.Positions; i < sequence.Blocks.Count; i++) Assert.Equal(1, pool.HoldersOf(sequence.Blocks[i]));
        }
        foreach (var block in scheduler.Disk?.Held ?? []) holders[block]++;
        for (var block = 0; block < pool.Total; block++) Assert.Equal(holders[block], pool.HoldersOf(block));
        Assert.Equal(holders.Count(count => count > 0), pool.Held);
    }
}
