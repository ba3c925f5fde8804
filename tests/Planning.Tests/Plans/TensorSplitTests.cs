using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Tests.Plans;

public class TensorSplitTests
{
    static readonly SplitSizes Llama405B = new() { HeadCount = 128, KvHeadCount = 8, FfnSize = 53_248, VocabularySize = 128_256, ColumnBlock = 256 };

    static readonly Gen<(SplitSizes Sizes, RankShares Shares)> Cases =
        from kvHeads in Gen.Choose(1, 9)
        from groupSize in Gen.Choose(1, 8)
        from block in Gen.Elements(1, 32, 256)
        from ffnBlocks in Gen.Choose(1, 20)
        from vocabulary in Gen.Choose(1, 3000)
        from shares in Gen.Choose(1, 20).NonEmptyListOf()
        let sizes = new SplitSizes
        {
            HeadCount = kvHeads * groupSize,
            KvHeadCount = kvHeads,
            FfnSize = block == 1 ? (ffnBlocks * 30) + 1 : ffnBlocks * block,
            VocabularySize = vocabulary,
            ColumnBlock = block,
        }
        select (sizes, RankShares.Of([.. shares.Take(TensorSplit.MaxRanks(sizes))]));

    [Fact]
    public void Create_AnyShape_CoversEverythingOnce() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var slices = Slices(c.Sizes, c.Shares);
            return CoversOnce(slices.Select(slice => slice.Heads), c.Sizes.HeadCount)
                && CoversOnce(slices.Select(slice => slice.Ffn), c.Sizes.FfnSize)
                && CoversOnce(slices.Select(slice => slice.Vocabulary), c.Sizes.VocabularySize);
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(8192, 256, 5, 256)]
    [InlineData(256, 256, 4, 32)]
    [InlineData(32, 1, 2, 16)]
    public void Create_Experts_CutsEveryOneOfThem(int width, int block, int ranks, int unit)
    {
        var sizes = Llama405B with { ExpertFfnSize = width, ColumnBlock = block };
        var split = TensorSplit.Create(sizes, RankShares.Equal(ranks));

        var slices = Enumerable.Range(0, ranks).Select(rank => split[rank].ExpertFfn).ToList();
        Assert.True(CoversOnce(slices, width));
        Assert.All(slices, slice => Assert.Equal(0, slice.First % unit));
        Assert.Equal(0, split.ExpertFfnUnit % unit);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Create_WholeExperts_AreGivenInProportionAndTheSharedOneIsCut(bool hasShared)
    {
        var sizes = Llama405B with { ExpertFfnSize = 768, ExpertCount = 16, HasSharedExpert = hasShared, ColumnBlock = 256 };
        var split = TensorSplit.Create(sizes, RankShares.Of(2, 1, 1).WithExperts(whole: true));

        Assert.Equal([new(0, 8), new(8, 4), new(12, 4)], Enumerable.Range(0, 3).Select(rank => split[rank].Experts));
        Assert.All(Enumerable.Range(0, 3), rank => Assert.Equal(new IndexRange(0, 768), split[rank].ExpertFfn));
        Assert.Equal(hasShared ? 768 : 0, Enumerable.Range(0, 3).Sum(rank => split[rank].SharedExpertFfn.Count));
        Assert.Equal((0, hasShared ? 256 : 0), (split.ExpertFfnUnit, split.SharedExpertFfnUnit));
        var byColumns = TensorSplit.Create(sizes, RankShares.Of(2, 1, 1));
        Assert.All(Enumerable.Range(0, 3), rank => Assert.Equal(new IndexRange(0, 16), byColumns[rank].Experts));
        Assert.Equal(256, byColumns.ExpertFfnUnit);
    }

    [Theory]
    [InlineData(8, false, 8, "9 ranks cannot each have whole experts of 8")]
    [InlineData(64, true, 4, "5 ranks cannot share experts of 128, each at least 32 columns")]
    [InlineData(0, false, 16, "there are no experts to give to ranks whole")]
    public void FirstProblem_WholeExperts_AreAtMostAsManyRanks(int count, bool hasShared, int most, string problem)
    {
        var sizes = Llama405B with { ExpertFfnSize = count > 0 ? 128 : 0, ExpertCount = count, HasSharedExpert = hasShared };
        Assert.Equal(problem, TensorSplit.FirstProblem(sizes, RankShares.Equal(count > 0 ? most + 1 : most).WithExperts(whole: true)));
        if (count > 0) Assert.Equal(most, TensorSplit.MaxRanks(sizes, wholeExperts: true));
    }

    [Theory]
    [InlineData(32, 32, 1)]
    [InlineData(32, 1, 2)]
    [InlineData(8192, 32, 128)]
    public void MaxRanks_Experts_AreCutNoFinerThanProductsAllow(int width, int block, int expected)
    {
        var sizes = Llama405B with { ExpertFfnSize = width, ColumnBlock = block };

        Assert.Equal(expected, TensorSplit.MaxRanks(sizes));
        Assert.Contains("ranks cannot share", TensorSplit.FirstProblem(sizes, RankShares.Equal(expected + 1)));
    }

    [Fact]
    public void Create_AnyShape_GivesEachRankTheKvHeadsOfItsQueryHeadsInWholeGroupsOrPartsOfOne() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var group = c.Sizes.HeadCount / c.Sizes.KvHeadCount;
            return Slices(c.Sizes, c.Shares).All(slice =>
                slice.KvHeads.First == slice.Heads.First / group && slice.KvHeads.End == ((slice.Heads.End - 1) / group) + 1
                && (slice.KvHeads.Count == 1 || slice.Heads.Count == slice.KvHeads.Count * group));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Create_AnyShape_CutsTheFeedForwardBetweenBlocksWhereThereAreEnough() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var unit = c.Sizes.ColumnBlock * c.Shares.Count <= c.Sizes.FfnSize ? c.Sizes.ColumnBlock : TensorSplit.FineColumns;
            return Slices(c.Sizes, c.Shares).All(slice => slice.Ffn.First % unit == 0 && slice.Vocabulary.First % RowGroup.Rows == 0);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Create_AnyShape_NamesTheGreatestUnitsOfItsCuts() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            var split = TensorSplit.Create(c.Sizes, c.Shares);
            int[] heads = [.. Slices(c.Sizes, c.Shares).Select(slice => slice.Heads.First)];
            int[] columns = [.. Slices(c.Sizes, c.Shares).Select(slice => slice.Ffn.First)];
            return IsGreatestUnit(split.HeadUnit, heads) && IsGreatestUnit(split.FfnUnit, columns);

            static bool IsGreatestUnit(int unit, int[] starts) => starts.Length == 1
                ? unit == 0
                : starts.All(start => start % unit == 0)
                    && Enumerable.Range(unit + 1, starts.Max() - unit).All(greater => starts.Any(start => start % greater != 0));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Create_AGreaterShare_NeverGivesLess() =>
        Prop.ForAll(Cases.Zip(Gen.Choose(0, 100)).ToArbitrary(), c =>
        {
            var ((sizes, shares), number) = c;
            var rank = number % shares.Count;
            var greater = RankShares.Of([.. shares.Values.Select((share, i) => i == rank ? share + number : share)]);
            var (before, after) = (Slices(sizes, shares)[rank], Slices(sizes, greater)[rank]);
            return after.Ffn.Count >= before.Ffn.Count && after.Vocabulary.Count >= before.Vocabulary.Count
                && (shares.Count > sizes.KvHeadCount || after.Heads.Count >= before.Heads.Count);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Create_OneRank_HasAll()
    {
        var slice = Assert.Single(Slices(Llama405B, RankShares.Whole));
        Assert.Equal(new RankSlice(new(0, 128), new(0, 8), new(0, 53_248), new(0, 128_256)), slice);
    }

    [Fact]
    public void Create_ThreeRanksOf405B_DifferByOneGroupAtMost()
    {
        var slices = Slices(Llama405B, RankShares.Equal(3));
        Assert.Equal([48, 48, 32], slices.Select(slice => slice.Heads.Count));
        Assert.Equal([new(0, 3), new(3, 3), new(6, 2)], slices.Select(slice => slice.KvHeads));
        Assert.Equal([17_920, 17_664, 17_664], slices.Select(slice => slice.Ffn.Count));
    }

    [Fact]
    public void Create_TwiceTheShare_HasTwiceTheHeads()
    {
        var slices = Slices(Llama405B with { KvHeadCount = 128 }, RankShares.Of(20, 10, 10));
        Assert.Equal([64, 32, 32], slices.Select(slice => slice.Heads.Count));
    }

    [Fact]
    public void Create_MoreRanksThanKvHeads_DividesTheGroupsOfTheSlowest()
    {
        var sizes = new SplitSizes { HeadCount = 8, KvHeadCount = 2, FfnSize = 512, VocabularySize = 2048, ColumnBlock = 32 };
        Assert.Equal([2, 2, 4], Slices(sizes, RankShares.Of(1, 1, 2)).Select(slice => slice.Heads.Count));
        Assert.Equal([4, 2, 2], Slices(sizes, RankShares.Of(2, 1, 1)).Select(slice => slice.Heads.Count));
        Assert.Equal([new(0, 1), new(0, 1), new(1, 1)], Slices(sizes, RankShares.Of(1, 1, 2)).Select(slice => slice.KvHeads));
        Assert.All(Slices(sizes, RankShares.Equal(8)), slice => Assert.Equal((1, 1), (slice.Heads.Count, slice.KvHeads.Count)));
    }

    [Fact]
    public void Create_FewerBlocksThanRanks_CutsThem()
    {
        var sizes = new SplitSizes { HeadCount = 8, KvHeadCount = 4, FfnSize = 512, VocabularySize = 2048, ColumnBlock = 256 };
        Assert.Equal([256, 256], Slices(sizes, RankShares.Equal(2)).Select(slice => slice.Ffn.Count));
        Assert.Equal([192, 160, 160], Slices(sizes, RankShares.Equal(3)).Select(slice => slice.Ffn.Count));
    }

    [Fact]
    public void TryCreate_NoSuchSplit_SaysWhyInOneLine()
    {
        Refused("9 ranks cannot share 8 query heads", Sizes(), 9);
        Refused("cannot share a feed-forward of 64", Sizes() with { FfnSize = 64 }, 3);
        Refused("cannot share a vocabulary of 20", Sizes() with { VocabularySize = 20 }, 3);
        Refused("8 query heads cannot share 3 KV heads", Sizes() with { KvHeadCount = 3 }, 1);
        Refused("0 KV heads", Sizes() with { KvHeadCount = 0 }, 1);
        Refused("matrix of 64 columns in attention's place", Sizes() with { HeadCount = 0, KvHeadCount = 0, LinearSize = 64 }, 3);
        Refused("feed-forward of -1", Sizes() with { FfnSize = -1 }, 1);
        Refused("blocks of 48", Sizes() with { ColumnBlock = 48 }, 1);
        Refused("blocks of 0", Sizes() with { ColumnBlock = 0 }, 1);
    }

    static SplitSizes Sizes() => new() { HeadCount = 8, KvHeadCount = 4, FfnSize = 512, VocabularySize = 2048, ColumnBlock = 32 };

    static void Refused(string reason, SplitSizes sizes, int ranks)
    {
        Assert.False(TensorSplit.TryCreate(sizes, RankShares.Equal(ranks), out var split, out var problem));
        Assert.Null(split);
        Assert.Contains(reason, problem);
        Assert.DoesNotContain('\n', problem);
        Assert.Throws<ArgumentException>(() => TensorSplit.Create(sizes, RankShares.Equal(ranks)));
    }

    static RankSlice[] Slices(SplitSizes sizes, RankShares shares)
    {
        var split = TensorSplit.Create(sizes, shares);
        return [.. Enumerable.Range(0, split.RankCount).Select(rank => split[rank])];
    }

    static bool CoversOnce(IEnumerable<IndexRange> ranges, int total)
    {
        var end = 0;
        foreach (var range in ranges)
        {
            if (range.First != end || range.Count < 1) return false;
            end = range.End;
        }
        return end == total;
    }
}
