using LlamaCluster.Cli.CapacityPlanning;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.CapacityPlanning;

public sealed class ClusterFileTests
{
    const string Good = """
        name: two kinds
        network: { round_trip: 50 us, bandwidth: 10 Gbit/s }
        workers:
          - name: big
            count: 2
            per_host: 2
            memory: 64 GB
            bandwidth: 100 GB/s
            compute: 2 TFLOP/s
            threads: 16
            link: { round_trip: 2 us, bandwidth: 30 GB/s }
          - name: small
            memory: 8 GiB
            device: raspberry-pi-5
            network: { round_trip: 300 us, bandwidth: 1 Gbit/s }
        """;

    [Fact]
    public void Kinds_hosts_and_links_are_read()
    {
        var profile = Read(Good).ToProfile();

        Assert.Equal(["big-1.1", "big-1.2", "big-2.1", "big-2.2", "small-1"], profile.Workers.Select(worker => worker.Name));
        Assert.Equal([0, 0, 1, 1, 2], profile.Workers.Select(worker => worker.Host));
        Assert.Equal((64e9, 1e12, 16), (profile.Workers[0].MemoryBytes, profile.Workers[0].MultiplyAddsPerSecond, profile.Workers[0].Threads));
        Assert.Equal(4, profile.Workers[4].Threads);
        Assert.Equal(2e-6, profile.Between(0, 1).RoundTripSeconds);
        Assert.Equal(1.25e9, profile.Between(1, 2).BytesPerSecond);
        Assert.Equal((300e-6, 0.125e9), (profile.Between(0, 4).RoundTripSeconds, profile.Between(0, 4).BytesPerSecond));
        Assert.Equal(300e-6, profile.ToCoordinator(4).RoundTripSeconds);
    }

    [Theory]
    [InlineData(6, "per_host must be a whole number from 1 to 64", "per_host: 2", "per_host: none")]
    [InlineData(7, "memory is '64'; it must be a number above 0 and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB", "memory: 64 GB", "memory: 64")]
    [InlineData(8, "bandwidth is '100 Gb'; it must be a number above 0 and one of B/s, kB/s", "bandwidth: 100 GB/s", "bandwidth: 100 Gb")]
    [InlineData(
        10, "'thraeds' is unknown in a kind of workers; allowed are name, count, per_host, memory, device, bandwidth, compute, "
            + "multiply_adds, threads, link, network",
        "threads:", "thraeds:")]
    [InlineData(1, "'nmae' is unknown in the cluster; allowed are name, network, coordinator, workers", "name: two", "nmae: two")]
    [InlineData(4, "device 'i386' is unknown; known are epyc-9654", "raspberry-pi-5", "i386", 8)]
    [InlineData(4, "a kind of workers needs memory", "    memory: 64 GB\n", "")]
    [InlineData(4, "compute and multiply_adds are both given", "threads: 16", "multiply_adds: 1 T/s")]
    [InlineData(2, "network needs round_trip", "round_trip: 50 us, bandwidth: 10 Gbit/s", "bandwidth: 10 Gbit/s")]
    [InlineData(4, "a kind of workers needs network, its own or the cluster's",
        "network: { round_trip: 50 us, bandwidth: 10 Gbit/s }", "coordinator: { round_trip: 50 us, bandwidth: 10 Gbit/s }")]
    [InlineData(1, "two kinds of workers are called big", "name: small", "name: big")]
    public void What_is_wrong_is_said_with_its_line(int line, string problem, string good, string bad, int later = 0)
    {
        Assert.Contains(good, Good);
        using var folder = new TempFolder();
        var file = Write(folder, Good.Replace(good, bad));
        var wrong = Assert.Throws<CommandFailedException>(() => ClusterFile.Read(file));
        Assert.StartsWith($"{file}:{line + later}: ", wrong.Message);
        Assert.Contains(problem, wrong.Message);
        Assert.DoesNotContain('\n', wrong.Message);
    }

    /// <summary>A kind of one host needs no network only where it is alone.</summary>
    [Fact]
    public void Hosts_without_a_network_between_them_are_refused()
    {
        const string one = """
            workers:
              - { name: a, per_host: 2, memory: 8 GB, device: core-i5-12400 }
            """;
        const string another = "\n  - { name: b, memory: 8 GB, device: core-i5-12400, network: { round_trip: 1 ms, bandwidth: 1 Gbit/s } }";
        using var folder = new TempFolder();

        Assert.Equal(10e-6, Read(one).ToProfile().Between(0, 1).RoundTripSeconds);
        var wrong = Assert.Throws<CommandFailedException>(() => ClusterFile.Read(Write(folder, one + another)));
        Assert.EndsWith("cluster.yaml:2: a kind of workers needs network, its own or the cluster's", wrong.Message);
    }

    [Theory]
    [InlineData("- 1", "must be a mapping")]
    [InlineData("workers: 3", "workers must be a list")]
    [InlineData("workers: []", "workers must be a list")]
    [InlineData("name: x", "the cluster needs workers")]
    [InlineData("a: 1\n---\nb: 2", "has 2 documents")]
    [InlineData("workers: [", "not YAML")]
    [InlineData("name: 1\nname: 2", "not YAML")]
    [InlineData("name: a: b", "cluster.yaml:1: not YAML")]
    [InlineData("", "has 0 documents")]
    public void What_is_no_cluster_is_refused(string text, string problem)
    {
        using var folder = new TempFolder();
        Assert.Contains(problem, Assert.Throws<CommandFailedException>(() => ClusterFile.Read(Write(folder, text))).Message);
    }

    [Theory]
    [InlineData("[", 100_000)]
    [InlineData("{a: ", 100_000)]
    [InlineData("- ", 400_000)]
    [InlineData("? ", 400_000)]
    public void What_is_nested_too_deep_for_the_stack_is_refused(string level, int levels)
    {
        using var folder = new TempFolder();
        var wrong = Assert.Throws<CommandFailedException>(() => ClusterFile.Read(Write(folder, string.Concat(Enumerable.Repeat(level, levels)))));
        Assert.EndsWith("cluster.yaml:1: lists and mappings are nested more than 16 deep; a cluster needs 4", wrong.Message);
    }

    [Fact]
    public void A_file_that_is_not_there_is_named()
        => Assert.Equal("missing.yaml: no such file", Assert.Throws<CommandFailedException>(() => ClusterFile.Read("missing.yaml")).Message);

    static ClusterDescription Read(string text)
    {
        using var folder = new TempFolder();
        return ClusterFile.Read(Write(folder, text));
    }

    static string Write(TempFolder folder, string text)
    {
        var path = Path.Combine(folder.Path, "cluster.yaml");
        File.WriteAllText(path, text);
        return path;
    }
}
