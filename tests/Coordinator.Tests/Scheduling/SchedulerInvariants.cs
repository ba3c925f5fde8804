using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>What holds between any two calls of a scheduler.</summary>
static class SchedulerInvariants
{
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
            for (var i = sequence.Scheduled / KvBlockPool.BlockSize; i < sequence.Blocks.Count; i++) Assert.Equal(1, pool.HoldersOf(sequence.Blocks[i]));
        }
        for (var block = 0; block < pool.Total; block++) Assert.Equal(holders[block], pool.HoldersOf(block));
        Assert.Equal(holders.Count(count => count > 0), pool.Held);
    }
}
