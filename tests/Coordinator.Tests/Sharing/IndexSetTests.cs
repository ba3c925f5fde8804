using LlamaCluster.Coordinator.Sharing;

namespace LlamaCluster.Coordinator.Tests.Sharing;

public sealed class IndexSetTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1000)]
    public void The_least_number_is_found_whatever_came_and_went(int size)
    {
        var (random, set, expected) = (new Random(size), new IndexSet(size), new SortedSet<int>());
        for (var i = 0; i < 5_000; i++)
        {
            var number = random.Next(size);
            if (random.Next(i / 1_000 % 2 + 2) == 0)
            {
                set.Add(number);
                expected.Add(number);
            }
            else
            {
                set.Remove(number);
                expected.Remove(number);
            }
            Assert.Equal(expected.Count, set.Count);
            if (expected.Count > 0) Assert.Equal(expected.Min, set.First);
        }
        while (set.Count > 0) set.Remove(set.First);
        Assert.Throws<InvalidOperationException>(() => set.First);
    }
}
