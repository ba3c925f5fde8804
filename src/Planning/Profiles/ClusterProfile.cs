namespace LlamaCluster.Planning.Profiles;

/// <summary>
/// What a cluster can do. Workers of a host stand together, and hosts that are alike too, so that a plan can be sought among kinds in
/// place of single workers.
/// </summary>
public sealed class ClusterProfile
{
    readonly int[][] _workersOfHost;

    /// <exception cref="ArgumentException">A worker names a host that is not there, or workers of a host do not stand together.</exception>
    public ClusterProfile(IReadOnlyList<WorkerProfile> workers, IReadOnlyList<HostProfile> hosts, LinkTable links)
    {
        (Workers, Hosts, Links) = (workers, hosts, links);
        if (links.Hosts != hosts.Count) throw new ArgumentException($"links of {links.Hosts} hosts for {hosts.Count}", nameof(links));
        _workersOfHost = [.. hosts.Select((_, host) => workers.Index().Where(worker => worker.Item.Host == host).Select(worker => worker.Index).ToArray())];
        if (_workersOfHost.Sum(ofHost => ofHost.Length) != workers.Count) throw new ArgumentException("a worker names a host that is not there", nameof(workers));
        if (_workersOfHost.Any(ofHost => ofHost.Length > 0 && ofHost[^1] - ofHost[0] != ofHost.Length - 1)) throw new ArgumentException("workers of a host do not stand together", nameof(workers));
        WorkerKinds = Kinds(workers.Count, (a, b) => workers[a].IsLike(workers[b]));
        HostKinds = Kinds(hosts.Count, AreAlike);
    }

    public IReadOnlyList<WorkerProfile> Workers { get; }

    public IReadOnlyList<HostProfile> Hosts { get; }

    public LinkTable Links { get; }

    /// <summary>For each worker, the first one that is like it; see <see cref="WorkerProfile.IsLike"/>.</summary>
    public IReadOnlyList<int> WorkerKinds { get; }

    /// <summary>For each host, the first one that it could change places with.</summary>
    public IReadOnlyList<int> HostKinds { get; }

    public IReadOnlyList<int> WorkersOf(int host) => _workersOfHost[host];

    /// <summary>Between two different workers.</summary>
    public Link Between(int workerA, int workerB) => Links.Between(Workers[workerA].Host, Workers[workerB].Host);

    public Link ToCoordinator(int worker) => Links.ToCoordinator(Workers[worker].Host);

    bool AreAlike(int a, int b) =>
        Hosts[a] with { Name = "" } == Hosts[b] with { Name = "" }
        && _workersOfHost[a].Length == _workersOfHost[b].Length
        && _workersOfHost[a].Zip(_workersOfHost[b]).All(pair => Workers[pair.First].IsLike(Workers[pair.Second]))
        && Links.AreAlike(a, b);

    static int[] Kinds(int count, Func<int, int, bool> alike)
    {
        var kinds = new int[count];
        List<int> firsts = [];
        for (var i = 0; i < count; i++)
        {
            var known = firsts.FindIndex(first => alike(first, i));
            kinds[i] = known >= 0 ? firsts[known] : i;
            if (known < 0) firsts.Add(i);
        }
        return kinds;
    }
}
