using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class NGramIndexTests
{
    /// <summary>However the sequence grows, the place found is the one that a search from the end finds.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(1000)]
    public void Finds_what_a_search_would_find(int atOnce)
    {
        var random = new Random(7);
        var index = new NGramIndex();
        List<int> tokens = [];
        for (var i = 0; i < 3000; i++)
        {
            tokens.Add(random.Next(8));
            if (i % 5 > 0) continue;
            while (!index.Extend(new TokenHistory(tokens), atOnce)) { }
            Assert.Equal(Search(tokens), index.Find(new TokenHistory(tokens)));
        }
    }

    [Fact]
    public void Takes_in_no_more_than_it_is_told_to()
    {
        var index = new NGramIndex();
        int[] tokens = [1, 2, 3, 4, 5, 6, 1, 2, 3];

        Assert.False(index.Extend(new TokenHistory(tokens), 5));
        Assert.Equal(3, index.Find(new TokenHistory(tokens)));
        Assert.True(index.Extend(new TokenHistory(tokens), 1));
        Assert.True(index.Extend(new TokenHistory(tokens), 0));
    }

    [Theory]
    [InlineData]
    [InlineData(1, 1, 1)]
    [InlineData(1, 2, 3, 4)]
    public void There_may_be_none(params int[] tokens)
    {
        var index = new NGramIndex();
        index.Extend(new TokenHistory(tokens), 100);

        Assert.Null(index.Find(new TokenHistory(tokens)));
    }

    static int? Search(List<int> tokens)
    {
        for (var end = tokens.Count - 1; end >= 3; end--)
            if (tokens[(end - 3)..end].SequenceEqual(tokens[^3..])) return end;
        return null;
    }
}
