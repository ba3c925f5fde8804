using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Planning.Search;

namespace LlamaCluster.Planning.Tests.Search;

/// <summary>A search's work is bounded by counts: a scheme's bound takes tens of microseconds, a division some milliseconds at most.</summary>
public sealed class SchemeSearchTests
{
    const int MostConsidered = 4_000;
    const int MostDivisions = 4_000;

    [Theory]
    [InlineData(PlanObjective.Latency, 1)]
    [InlineData(PlanObjective.Throughput, 256)]
    public void Two_hundred_like_workers_take_bounded_work(PlanObjective objective, int streams)
    {
        var found = Search(Clusters.Alike(200, Clusters.Fast, memory: 20_000_000_000), objective, streams);
        Assert.InRange(found.Considered, 1, MostConsidered);
        Assert.InRange(found.Divisions, 1, MostDivisions);
    }

    [Fact]
    public void Two_hundred_workers_of_five_kinds_take_bounded_work()
    {
        var workers = Enumerable.Range(0, 200).Select(host => Clusters.Worker(host, read: (1 + host % 5) * 20e9, memory: (1 + host % 5) * 8_000_000_000L));
        var found = Search(Clusters.Of(Clusters.Slow, workers), PlanObjective.Throughput, 64);
        Assert.InRange(found.Considered, 1, MostConsidered);
        Assert.InRange(found.Divisions, 1, MostDivisions);
    }

    [Fact]
    public void Two_hundred_workers_of_which_no_two_are_alike_take_bounded_work()
    {
        var found = Search(Clusters.NearlyAlike(200, Clusters.Fast, memory: 20_000_000_000), PlanObjective.Throughput, 64);
        Assert.InRange(found.Considered, 1, MostConsidered);
        Assert.InRange(found.Divisions, 1, MostDivisions);
    }

    [Fact]
    public void Few_schemes_are_all_looked_at_and_like_workers_count_once()
    {
        var found = Search(Clusters.Alike(4, Clusters.Fast), PlanObjective.Latency, 1, Footprints.Small(8));
        Assert.True(found.IsExact);
        Assert.Equal(1 + 2 + 4 + 8, found.Considered);   // the compositions of 1, 2, 3 and 4
    }

    static SearchResult Search(ClusterProfile cluster, PlanObjective objective, int streams, ModelFootprint? model = null)
    {
        var problem = new PlanningProblem(model ?? Footprints.Of("llama-3.1-405b", "q4_k_m"), cluster, PlanGoal.Of(objective, 4096, streams), new Overheads());
        return Assert.IsType<SearchResult>(new SchemeSearch(problem).Run());
    }
}
