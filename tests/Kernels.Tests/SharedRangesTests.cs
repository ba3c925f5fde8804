namespace LlamaCluster.Kernels.Tests;

public sealed class SharedRangesTests
{
    [Fact]
    public void A_thread_goes_through_its_own_range_and_then_takes_from_the_end_of_anothers()
    {
        var ranges = new SharedRanges(2);
        ranges.ShareOut(40, 2);

        Assert.Equal([(0, 10), (10, 15), (15, 19), (19, 20)], Take(ranges, thread: 0, count: 4));
        Assert.Equal([(30, 40), (25, 30), (21, 25), (20, 21)], Take(ranges, thread: 0, count: 4));
        Assert.False(ranges.TryTake(1, 4, out _, out _));
    }

    [Fact]
    public void What_has_been_taken_from_a_range_is_not_given_to_its_owner()
    {
        var ranges = new SharedRanges(3);
        ranges.ShareOut(9, 3);
        Assert.Equal([(0, 3), (3, 6)], Take(ranges, thread: 0, count: 2));
        Assert.Equal([(6, 9)], Take(ranges, thread: 1, count: 1));
        Assert.False(ranges.TryTake(2, 4, out _, out _));

        ranges.ShareOut(2, 1);   // fewer threads than before: only theirs count
        Assert.Equal([(0, 2)], Take(ranges, thread: 0, count: 1));
        Assert.False(ranges.TryTake(0, 4, out _, out _));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(100_003)]
    public void Threads_that_take_at_the_same_time_get_each_item_once(int items)
    {
        const int Threads = 4;
        var ranges = new SharedRanges(Threads);
        for (var round = 0; round < 20; round++)
        {
            var taken = new int[items];
            ranges.ShareOut(items, Threads);
            Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, thread =>
            {
                while (ranges.TryTake(thread, 1, out var first, out var end))
                    for (var item = first; item < end; item++) Interlocked.Increment(ref taken[item]);
            });
            Assert.All(taken, times => Assert.Equal(1, times));
        }
    }

    static List<(int, int)> Take(SharedRanges ranges, int thread, int count)
    {
        List<(int, int)> taken = [];
        for (var i = 0; i < count; i++)
        {
            Assert.True(ranges.TryTake(thread, 4, out var first, out var end));
            taken.Add((first, end));
        }
        return taken;
    }
}
