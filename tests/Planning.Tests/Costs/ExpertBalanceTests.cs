using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Tests.Costs;

public class ExpertBalanceTests
{
    /// <summary>One row: its one expert is on one rank, and its two are on one or on two.</summary>
    [Fact]
    public void Of_OneRow_IsExact()
    {
        Assert.Equal(1.0 / 8, ExpertBalance.Of([8, 8], perRow: 1, rows: 1).Used, 1e-9);
        Assert.Equal(((7 * 2) + (8 * 1)) / 15.0 / 8, ExpertBalance.Of([8, 8], perRow: 2, rows: 1).Used, 1e-9);
        Assert.Equal(new ExpertBalance(1, 3), ExpertBalance.Of([1, 1, 1], perRow: 3, rows: 3) with { Rows = 3 });
    }

    /// <summary>Against draws. The used experts of a step are as many as are expected, which the mean over draws only nearly is.</summary>
    [Theory]
    [InlineData(1, 4, 32, 32, 32, 32)]
    [InlineData(1, 32, 32, 32, 32, 32)]
    [InlineData(1, 256, 32, 32, 32, 32)]
    [InlineData(2, 3, 4, 4)]
    [InlineData(2, 16, 2, 2, 2, 2)]
    [InlineData(8, 16, 64, 32, 32)]
    public void Of_AnyStep_IsTheMeanOfManyDraws(int perRow, int rows, params int[] owned)
    {
        const int Draws = 4000;
        var random = new Random(20261129);
        var rankOf = owned.SelectMany((count, rank) => Enumerable.Repeat(rank, count)).ToArray();
        var (used, most) = (0.0, 0.0);
        for (var draw = 0; draw < Draws; draw++)
        {
            var choices = Enumerable.Range(0, rows).SelectMany(_ => Chosen(random, rankOf.Length, perRow)).ToArray();
            used += Most(choices.Distinct());
            most += Most(choices);
        }

        double Most(IEnumerable<int> experts) => experts.CountBy(expert => rankOf[expert]).Max(rank => (double)rank.Value / owned[rank.Key]);

        var balance = ExpertBalance.Of(owned, perRow, rows);
        Assert.Equal(used / Draws, balance.Used, 0.04 * balance.Used);
        Assert.Equal(most / Draws, Math.Max(balance.Rows, balance.Used), 0.1 * balance.Rows);
        Assert.InRange(balance.Used, ExpertUse.ShareUsed(rankOf.Length, perRow, rows), 1);
    }

    static HashSet<int> Chosen(Random random, int count, int perRow)
    {
        HashSet<int> chosen = [];
        while (chosen.Count < perRow) chosen.Add(random.Next(count));
        return chosen;
    }
}
