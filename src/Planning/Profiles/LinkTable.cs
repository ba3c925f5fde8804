namespace LlamaCluster.Planning.Profiles;

/// <summary>The network between two places. The time that programs add is in the planner's overheads, not here.</summary>
/// <param name="RoundTripSeconds">For a small message.</param>
/// <param name="BytesPerSecond">One way.</param>
public readonly record struct Link(double RoundTripSeconds, double BytesPerSecond)
{
    public double OneWaySeconds => RoundTripSeconds / 2;
}

/// <summary>The links between hosts, within each host, and from each host to the coordinator. Immutable.</summary>
public sealed class LinkTable
{
    readonly Link[] _coordinator;
    readonly Link[,] _between;

    /// <param name="between">The link of two different hosts, or within a host; called once for each pair.</param>
    /// <param name="coordinator">The link from a host to the coordinator.</param>
    public LinkTable(int hosts, Func<int, int, Link> between, Func<int, Link> coordinator)
    {
        _coordinator = [.. Enumerable.Range(0, hosts).Select(coordinator)];
        _between = new Link[hosts, hosts];
        for (var a = 0; a < hosts; a++)
            for (var b = a; b < hosts; b++)
                _between[a, b] = _between[b, a] = between(a, b);
    }

    public int Hosts => _coordinator.Length;

    public Link Between(int hostA, int hostB) => _between[hostA, hostB];

    public Link ToCoordinator(int host) => _coordinator[host];

    /// <summary>Whether the two hosts are interchangeable: all their links are the same.</summary>
    public bool AreAlike(int a, int b)
    {
        if (_coordinator[a] != _coordinator[b] || _between[a, a] != _between[b, b]) return false;
        for (var other = 0; other < Hosts; other++)
            if (other != a && other != b && _between[a, other] != _between[b, other]) return false;
        return true;
    }
}
