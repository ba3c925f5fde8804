using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests.Profiles;

public sealed class MeasuredClusterTests
{
    static readonly Dictionary<(string, string), Link> NoLinks = [];

    [Fact]
    public void Workers_of_a_host_stand_together_and_share_its_memory()
    {
        var cluster = MeasuredCluster.Of([Worker(1, "a", 30e9), Worker(2, "b", 30e9), Worker(3, "a", 30e9)], NoLinks);

        Assert.Equal(["w1", "w3", "w2"], cluster.Members.Select(member => member.Id.Value));
        Assert.Equal([0, 0, 1], cluster.Profile.Workers.Select(worker => worker.Host));
        Assert.Equal(new HostProfile("a", 2, 45e9, 360e9), cluster.Profile.Hosts[0]);
    }

    [Fact]
    public void Workers_that_measured_nearly_the_same_are_alike()
    {
        var cluster = MeasuredCluster.Of([Worker(1, "a", 30e9), Worker(2, "b", 31e9), Worker(3, "c", 20e9)], NoLinks);

        Assert.Equal([0, 0, 2], cluster.Profile.WorkerKinds);
        Assert.Equal([0, 0, 2], cluster.Profile.HostKinds);
    }

    [Fact]
    public void Links_are_what_was_measured_and_else_like_the_slowest_of_those()
    {
        var links = new Dictionary<(string, string), Link> { [("a", "b")] = new(1e-3, 1e9), [("a", "c")] = new(2e-3, 0.1e9) };
        var cluster = MeasuredCluster.Of([Worker(1, "a", 30e9), Worker(2, "b", 30e9), Worker(3, "c", 30e9)], links).Profile;

        Assert.Equal(1e9, cluster.Between(1, 0).BytesPerSecond);
        Assert.Equal(0.1e9, cluster.Between(1, 2).BytesPerSecond);
        Assert.InRange(cluster.Between(0, 1).RoundTripSeconds, 0.8e-3, 0.9e-3);   // without what gRPC takes
    }

    [Fact]
    public void Without_measurements_of_all_none_counts()
    {
        var cluster = MeasuredCluster.Of([Worker(1, "a", 30e9), Worker(2, "a", 0)], NoLinks).Profile;

        Assert.Equal(cluster.Workers[0].ReadBytesPerSecond, cluster.Workers[1].ReadBytesPerSecond);
        Assert.Equal(0, cluster.Hosts[0].ReadBytesPerSecond);
    }

    static CandidateWorker Worker(int number, string host, double read) => new(
        new WorkerId($"w{number}"), $"worker{number}", new Uri($"http://10.0.0.{number}:1"), new MachineFacts(0, 1, read, 10 * read)
        {
            HostId = host,
            HostProcessors = 2,
            HostReadBytesPerSecond = 1.5 * read,
            HostMultiplyAddsPerSecond = 12 * read,
            Paces = new Dictionary<string, ProductPace> { ["Q4_0"] = new(read, 10 * read) },
        });
}
