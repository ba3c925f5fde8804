using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Tests.Plans;

public class ApportionmentTests
{
    static readonly Gen<(int[] Shares, int Units)> Cases =
        Gen.Choose(1, 50).NonEmptyListOf().Zip(Gen.Choose(0, 200)).Select(pair => (pair.Item1.Take(9).ToArray(), pair.Item1.Take(9).Count() + pair.Item2));

    [Fact]
    public void Divide_AnyShares_GivesAllUnitsAndEachAtLeastOne() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var counts = Apportionment.Divide(c.Units, c.Shares);
            return counts.Length == c.Shares.Length && counts.Sum() == c.Units && counts.Min() >= 1;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Divide_AnyShares_NoUnitMovedMakesTheSlowestFaster() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var counts = Apportionment.Divide(c.Units, c.Shares);
            var loads = counts.Select((count, i) => (double)count / c.Shares[i]).ToArray();
            return loads.Index().Where(load => load.Item == loads.Max() && counts[load.Index] > 1)
                .All(_ => counts.Select((count, i) => (count + 1.0) / c.Shares[i]).All(load => load >= loads.Max()));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Divide_AGreaterShareOrMoreUnits_TakesNothingAway() =>
        Prop.ForAll(Cases.Zip(Gen.Choose(0, 1000)).ToArbitrary(), c =>
        {
            var ((shares, units), number) = c;
            var rank = number % shares.Length;
            var before = Apportionment.Divide(units, shares);
            var more = Apportionment.Divide(units + 1, shares);
            int[] greater = [.. shares.Select((share, i) => i == rank ? share + 1 + number : share)];
            return Apportionment.Divide(units, greater)[rank] >= before[rank] && more.Zip(before).All(pair => pair.First >= pair.Second);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Divide_KnownCases()
    {
        Assert.Equal([3, 3, 2], Apportionment.Divide(8, [1, 1, 1]));
        Assert.Equal([6, 3], Apportionment.Divide(9, [2, 1]));
        Assert.Equal([1, 7], Apportionment.Divide(8, [1, 1000]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Apportionment.Divide(1, [1, 1]));
    }
}
