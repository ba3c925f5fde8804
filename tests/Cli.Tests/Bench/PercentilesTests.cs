using LlamaCluster.Cli.Bench;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class PercentilesTests
{
    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(2, 1, 2, 2)]
    [InlineData(10, 5, 9, 10)]
    [InlineData(100, 50, 90, 99)]
    [InlineData(1000, 500, 900, 990)]
    public void Are_by_nearest_rank(int count, int p50, int p90, int p99) =>
        Assert.Equal(new Percentiles(p50, p90, p99), Percentiles.Of(Enumerable.Range(1, count).Reverse().Select(value => TimeSpan.FromSeconds(value))));
}
