using LlamaCluster.Model.Sampling;

namespace LlamaCluster.Model.Tests.Sampling;

public sealed class CounterRandomTests
{
    [Theory]
    [InlineData(0ul)]
    [InlineData(1ul)]
    [InlineData(ulong.MaxValue)]
    public void Numbers_are_evenly_spread_and_neighbours_unrelated(ulong seed)
    {
        const int count = 100_000;
        var bins = new int[100];
        double sum = 0, product = 0, otherSeed = 0;
        for (var position = 0; position < count; position++)
        {
            var number = CounterRandom.Next(seed, position);
            bins[(int)(number * 100)]++;
            sum += number;
            product += (number - 0.5) * (CounterRandom.Next(seed, position + 1) - 0.5);
            otherSeed += (number - 0.5) * (CounterRandom.Next(seed + 1, position) - 0.5);
        }
        Assert.Equal(0.5, sum / count, 0.005);
        Assert.Equal(0, product / count, 0.002);
        Assert.Equal(0, otherSeed / count, 0.002);
        Assert.All(bins, bin => Assert.InRange(bin, 800, 1200));
    }

    /// <summary>A session that a newer release takes over goes on the same.</summary>
    [Theory]
    [InlineData(0ul, 0, 0.6524484863740322)]
    [InlineData(1ul, 0, 0.36818951565166946)]
    [InlineData(42ul, 1000, 0.6952598398323256)]
    [InlineData(ulong.MaxValue, int.MaxValue, 0.4984167065294687)]
    public void Numbers_stay_the_same(ulong seed, int position, double expected) => Assert.Equal(expected, CounterRandom.Next(seed, position));
}
