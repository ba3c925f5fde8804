using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.Planning;

/// <summary>A cluster as its file describes it.</summary>
/// <param name="Coordinator">Between the coordinator and every host; null: as the hosts' own networks.</param>
sealed record ClusterDescription(string Name, IReadOnlyList<WorkerKind> Kinds, Link? Coordinator)
{
    public ClusterProfile ToProfile()
    {
        var hosts = Kinds.SelectMany(kind => Enumerable.Range(1, kind.Hosts).Select(number => (Kind: kind, Name: $"{kind.Name}-{number}"))).ToList();
        var workers = hosts.SelectMany((host, index) => Enumerable.Range(1, host.Kind.PerHost).Select(number => new WorkerProfile(
            host.Kind.PerHost == 1 ? host.Name : $"{host.Name}.{number}",
            index, host.Kind.MemoryBytes, host.Kind.Threads, host.Kind.ReadBytesPerSecond, host.Kind.MultiplyAddsPerSecond, new Dictionary<string, ProductPace>())));
        Link OuterOf(int host) => hosts[host].Kind.Outer ?? hosts[host].Kind.Inner;
        Link Between(int a, int b) => a == b ? hosts[a].Kind.Inner : Slower(OuterOf(a), OuterOf(b));
        return new ClusterProfile(
            [.. workers], [.. hosts.Select(host => HostProfile.WithoutLimits(host.Name))],
            new LinkTable(hosts.Count, Between, host => Coordinator ?? OuterOf(host)));
    }

    /// <summary>A way is as slow as its slower end.</summary>
    static Link Slower(Link a, Link b) => new(Math.Max(a.RoundTripSeconds, b.RoundTripSeconds), Math.Min(a.BytesPerSecond, b.BytesPerSecond));
}
