using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests.Costs;

/// <summary>One host of two processors, which multiply at 1.5 times the rate of one of them; workers of one thread.</summary>
public sealed class HostUseTests
{
    [Theory]
    [InlineData(1, 1, 1, 1, 1)]         // a worker alone
    [InlineData(2, 1, 2, 1, 1.33)]      // two ranks: a processor each, of one core
    [InlineData(3, 1, 3, 2, 2)]         // three ranks: two of them wait for each other, and the third for both
    [InlineData(3, 3, 3, 1.5, 2)]       // three stages that do not wait
    [InlineData(4, 2, 2, 1, 1.33)]      // of four stages two are at work
    public void Threads_share_processors(int workers, int stepsInFlight, int atWork, double crowding, double slowdown)
    {
        var cluster = HostOf(workers);
        int[][] stages = stepsInFlight == 1 ? [[.. Enumerable.Range(0, workers)]] : [.. Enumerable.Range(0, workers).Select(worker => (int[])[worker])];

        var use = Assert.Single(HostUse.Of(cluster, stages, stepsInFlight)).Value;

        Assert.Equal((atWork, crowding), (use.Workers, use.Crowding));
        Assert.Equal(slowdown, use.Slowdown, 0.01);
    }

    [Fact]
    public void Where_nothing_is_known_of_a_host_nobody_is_in_the_way()
    {
        var cluster = new ClusterProfile([.. HostOf(4).Workers], [HostProfile.WithoutLimits("host")], HostOf(4).Links);

        Assert.Equal(new HostUse(4, 1, 1), HostUse.Of(cluster, [[0, 1, 2, 3]], 1)[0]);
    }

    static ClusterProfile HostOf(int workers)
    {
        var alike = Clusters.OneHost(workers, workerRead: 40e9, hostRead: 50e9, processors: 2);
        return new ClusterProfile(alike.Workers, [new HostProfile("host", 2, 50e9, 1.5 * alike.Workers[0].MultiplyAddsPerSecond)], alike.Links);
    }
}
