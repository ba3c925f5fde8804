using LlamaCluster.Cli.Doctor;
using LlamaCluster.Cli.Tests.Observing;
using LlamaCluster.Coordinator.Observing;

namespace LlamaCluster.Cli.Tests.Doctor;

/// <summary>What the doctor says of a cluster, by what its coordinator says of it.</summary>
public sealed class ClusterChecksTests
{
    [Fact]
    public void A_sound_cluster_is_ok_throughout()
    {
        var found = ClusterChecks.Of(Snapshots.Two, 0.01).ToList();
        Assert.All(found, one => Assert.Equal(Verdict.Ok, one.Verdict));
        Assert.Equal(["coordinator", "coordinator's clock", "alpha to beta"], found.Select(one => one.Check));
        Assert.Contains("10.0 Gbit/s, 300 µs", found[^1].Finding);
    }

    [Theory]
    [InlineData(0.5, Verdict.Ok)]
    [InlineData(-5, Verdict.Warn)]
    [InlineData(120, Verdict.Fail)]
    internal void Clocks_that_differ_are_told(double later, Verdict verdict) => Assert.Equal(verdict, ClusterChecks.Clock("a clock", later).Verdict);

    [Theory]
    [InlineData("unreachable", "connection refused", Verdict.Fail, "the coordinator cannot reach it")]
    [InlineData("set_aside", "it failed 3 times", Verdict.Fail, "set aside: it failed 3 times")]
    [InlineData("suspected", "", Verdict.Warn, "silent")]
    [InlineData("lost", "no heartbeat", Verdict.Warn, "was lost: no heartbeat")]
    internal void Workers_with_trouble_are_named(string state, string problem, Verdict verdict, string finding)
    {
        var found = ClusterChecks.Of(Snapshots.Two.With(Snapshots.Worker("w9", "omega", null, state, problem)), 0).Single(one => one.Check == "worker omega");
        Assert.Equal(verdict, found.Verdict);
        Assert.Contains(finding, found.Finding);
        Assert.NotEqual("", found.Advice);
    }

    [Fact]
    public void Other_versions_fewer_workers_and_slow_memory_are_told()
    {
        var slow = Snapshots.Worker("w3", "slow", null, "spare") with { SoftwareVersion = "0.0.9", MemoryReadBytesPerSecond = 1e10 };
        var cluster = Snapshots.Two.With(slow) with { WorkerCounts = new CountsByState(3, 2, 1, 0, 0, 0) };
        var found = ClusterChecks.Of(cluster, 0).Where(one => one.Verdict == Verdict.Warn).ToList();
        Assert.Equal(["workers", "versions", "worker slow"], found.Select(one => one.Check));
        Assert.Contains("0.0.9 on slow", found[1].Finding);
    }

    [Theory]
    [InlineData(12e6, 0.0002, "96.0 Mbit/s")]
    [InlineData(1.25e9, 0.02, "20.0 ms")]
    [InlineData(null, null, "not measured")]
    public void Links_that_hold_up_are_told(double? rate, double? roundTrip, string finding)
    {
        var cluster = Snapshots.Two.With(replica => replica with { Links = [replica.Links[0] with { BytesPerSecond = rate, RoundTripSeconds = roundTrip }] });
        var found = ClusterChecks.Of(cluster, 0).Single(one => one.Check == "alpha to beta");
        Assert.Equal(Verdict.Warn, found.Verdict);
        Assert.Contains(finding, found.Finding);
    }

    [Fact]
    public void A_cluster_that_is_not_ready_fails()
    {
        var cluster = Snapshots.Two.With(replica => replica with { Ready = false, Reason = "waiting for workers: 1 of 2 are here" });
        Assert.Equal(
            new Diagnosis("coordinator", Verdict.Fail, "not ready: waiting for workers: 1 of 2 are here", "see the workers below, and the coordinator's log"),
            ClusterChecks.Of(cluster, 0).First());
    }
}
