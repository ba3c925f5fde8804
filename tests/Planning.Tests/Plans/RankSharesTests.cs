using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Tests.Plans;

public class RankSharesTests
{
    [Fact]
    public void Of_SharesInTheSameProportion_AreEqual()
    {
        Assert.Equal(RankShares.Of(2, 1), RankShares.Of(200, 100));
        Assert.Equal(RankShares.Equal(3), RankShares.Of(7, 7, 7));
        Assert.Equal(new TensorSlice(1, 3), new TensorSlice(1, RankShares.Of(5, 5, 5)));
        Assert.NotEqual(RankShares.Of(2, 1), RankShares.Of(1, 2));
        Assert.Equal("3:1:2", RankShares.Of(6, 2, 4).ToString());
    }

    [Fact]
    public void WithExperts_Whole_AreOtherSharesUnlessThereIsOneRank()
    {
        var whole = RankShares.Of(6, 2, 4).WithExperts(whole: true);
        Assert.NotEqual(RankShares.Of(3, 1, 2), whole);
        Assert.Equal(RankShares.Of(3, 1, 2).WithExperts(whole: true), whole);
        Assert.Equal(RankShares.Of(3, 1, 2), whole.WithExperts(whole: false));
        Assert.Equal("3:1:2 of whole experts", whole.ToString());
        Assert.Equal(("whole", "columns", "all"), (whole.ExpertsWord, RankShares.Of(3, 1, 2).ExpertsWord, RankShares.Whole.ExpertsWord));
        Assert.Equal(RankShares.Whole, RankShares.Whole.WithExperts(whole: true));
    }

    [Fact]
    public void FirstProblem_WrongShares_AreNamed()
    {
        Assert.Contains("0 ranks", RankShares.FirstProblem([]));
        Assert.Contains("257 ranks", RankShares.FirstProblem(new int[257]));
        Assert.Contains("rank 1 has a share of 0", RankShares.FirstProblem([1, 0]));
        Assert.Contains("rank 0 has a share of -3", RankShares.FirstProblem([-3, 1]));
        Assert.Contains("rank 0 has a share of 1048577", RankShares.FirstProblem([RankShares.MaxShare + 1]));
        Assert.Throws<ArgumentException>(() => RankShares.Of(0));
    }
}
