using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class KvBlockPoolTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(16, 1)]
    [InlineData(17, 2)]
    [InlineData(131072, 8192)]
    public void Blocks_hold_sixteen_positions(int positions, int blocks) => Assert.Equal(blocks, KvBlock.CountFor(positions));

    [Fact]
    public void Blocks_are_given_to_one_holder_at_a_time()
    {
        var pool = new KvBlockPool(5);
        List<int> first = [], second = [];
        Assert.True(pool.TryAllocate(2, first));
        Assert.True(pool.TryAllocate(3, second));
        Assert.Equal([0, 1, 2, 3, 4], first.Concat(second).Order());
        Assert.Equal((0, 5), (pool.Free, pool.Held));
    }

    [Fact]
    public void What_does_not_fit_changes_nothing()
    {
        var pool = new KvBlockPool(3);
        List<int> table = [];
        Assert.False(pool.TryAllocate(4, table));
        Assert.Empty(table);
        Assert.Equal(3, pool.Free);
    }

    [Fact]
    public void Released_blocks_are_free_again()
    {
        var pool = new KvBlockPool(3);
        List<int> table = [];
        pool.TryAllocate(3, table);
        pool.Release(table);
        Assert.Empty(table);
        Assert.True(pool.TryAllocate(3, table));
    }

    [Fact]
    public void Giving_a_block_back_twice_is_a_bug()
    {
        var pool = new KvBlockPool(3);
        List<int> table = [];
        pool.TryAllocate(1, table);
        List<int> copy = [.. table];
        pool.Release(table);
        Assert.Throws<InvalidOperationException>(() => pool.Release(copy));
    }

    [Fact]
    public void A_pool_has_at_least_one_block() => Assert.Throws<ArgumentOutOfRangeException>(() => new KvBlockPool(0));
}
