using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests;

/// <summary>Clusters to plan on.</summary>
static class Clusters
{
    public static Link Fast { get; } = new(20e-6, 12.5e9);

    /// <summary>Gigabit Ethernet.</summary>
    public static Link Slow { get; } = new(1e-3, 125e6);

    public static WorkerProfile Worker(int host, double read = 20e9, long memory = 0, double multiplyAdds = 500e9) =>
        new($"worker{host}", host, memory, 4, read, multiplyAdds, new Dictionary<string, ProductPace>());

    /// <summary>One worker a host, all hosts with the same link.</summary>
    public static ClusterProfile Of(Link link, params IEnumerable<WorkerProfile> workers)
    {
        var all = workers.ToList();
        return new ClusterProfile(all, [.. all.Select(worker => HostProfile.WithoutLimits(worker.Name))], new LinkTable(all.Count, (_, _) => link, _ => link));
    }

    public static ClusterProfile Alike(int workers, Link link, long memory = 0) =>
        Of(link, Enumerable.Range(0, workers).Select(host => Worker(host, memory: memory)));

    /// <summary>Like workers, one a host, whose links all measured a little different: no host is quite like another.</summary>
    public static ClusterProfile NearlyAlike(int workers, Link link, long memory = 0) => new(
        [.. Enumerable.Range(0, workers).Select(host => Worker(host, memory: memory))],
        [.. Enumerable.Range(0, workers).Select(host => HostProfile.WithoutLimits($"worker{host}"))],
        new LinkTable(workers, (a, b) => AlmostLike(link, a, b), _ => link));

    /// <summary>The same in two racks: every other host is in the second one, and links between the racks are slow.</summary>
    public static ClusterProfile TwoRacks(int workers, Link inside, Link across) => new(
        [.. Enumerable.Range(0, workers).Select(host => Worker(host))],
        [.. Enumerable.Range(0, workers).Select(host => HostProfile.WithoutLimits($"worker{host}"))],
        new LinkTable(workers, (a, b) => AlmostLike(a % 2 == b % 2 ? inside : across, a, b), _ => inside));

    /// <summary>Several workers on one host, which share its memory.</summary>
    public static ClusterProfile OneHost(int workers, double workerRead, double hostRead, int processors) => new(
        [.. Enumerable.Range(0, workers).Select(number => Worker(0, workerRead) with { Name = $"worker{number}", Threads = 1 })],
        [new HostProfile("host", processors, hostRead, 0)],
        new LinkTable(1, (_, _) => new Link(30e-6, 2e9), _ => new Link(30e-6, 2e9)));

    /// <summary>Another one for every pair of up to 1000 hosts.</summary>
    static Link AlmostLike(Link link, int hostA, int hostB) => link with { RoundTripSeconds = link.RoundTripSeconds * (1 + 1e-7 * (hostA * 1000 + hostB)) };
}
