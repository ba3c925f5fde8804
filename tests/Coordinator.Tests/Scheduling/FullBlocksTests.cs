using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class FullBlocksTests
{
    readonly KvBlockPool _pool = new(8, [new FullBlock(7, new PrefixCacheKey((UInt128)77, 1), BlockFill.Lacking(4))]);

    [Fact]
    public void What_sequences_wait_for_comes_first_from_their_beginning_on()
    {
        var (waits, ended) = (TestSequence.Of(1, Tokens(40, from: 1)), TestSequence.Of(2, Tokens(33, from: 500)));
        Publish([5, 2], waits);
        Publish([0, 4], ended);
        var full = FullBlocks.Of(_pool, [waits, TestSequence.Of(3, Tokens(64, from: 900))]);
        Assert.Equal(2, full.Awaited);
        Assert.Equal([5, 2], full.Ids.Take(2));
        Assert.Equal([0, 4], full.Ids.Skip(2).Order());   // the block that lacks layers is not there to be had
    }

    /// <summary>The block behind one that is not there is of no use to the sequence.</summary>
    [Fact]
    public void Nobody_waits_for_what_is_behind_a_gap()
    {
        var run = TestSequence.Of(1, Tokens(60, from: 1));
        Publish([5, 2, 3], run, from: 1);
        Assert.Equal(0, FullBlocks.Of(_pool, [run]).Awaited);
        Assert.Equal([2, 3], FullBlocks.Of(_pool, [run]).Ids.Order());
    }

    [Fact]
    public void An_empty_pool_has_nothing() => Assert.Empty(FullBlocks.Of(new KvBlockPool(4), [TestSequence.Of(1, Tokens(40, from: 1))]).Ids);

    void Publish(int[] blocks, SequenceRun run, int from = 0)
    {
        for (var i = from; i < blocks.Length; i++)
        {
            Hold(blocks[i]);
            _pool.Publish(blocks[i], run.Keys.Of((i + 1) * KvBlock.Positions), new BlockFill(1, ScheduledChunk.AllLayers));
        }
    }

    void Hold(int block)
    {
        List<int> table = [];
        while (_pool.HoldersOf(block) == 0) _pool.TryAllocate(1, table);
        foreach (var other in table.Where(other => other != block)) _pool.Release(other);
    }

    static int[] Tokens(int count, int from) => [.. Enumerable.Range(from, count)];
}
