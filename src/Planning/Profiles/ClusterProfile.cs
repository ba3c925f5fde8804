namespace LlamaCluster.Planning.Profiles;

/// <summary>The speeds and sizes of one worker.</summary>
/// <param name="Host">Index of its <see cref="HostProfile"/>.</param>
/// <param name="MemoryBytes">For weights, KV cache and buffers; 0: unknown, and no limit.</param>
/// <param name="Threads">Compute threads.</param>
/// <param name="ReadBytesPerSecond">Plain reads of memory by all its threads.</param>
/// <param name="MultiplyAddsPerSecond">For many rows of activations, and types that <paramref name="Paces"/> does not name.</param>
/// <param name="Paces">The measured paces, by tensor type.</param>
public sealed record WorkerProfile(
    string Name, int Host, long MemoryBytes, int Threads,
    double ReadBytesPerSecond, double MultiplyAddsPerSecond, IReadOnlyDictionary<string, ProductPace> Paces)
{
    /// <summary>How much slower multiply-adds are for one row than for many: Q4_0's unpacking, measured with 512-bit vectors.</summary>
    const double OneRowSlowdown = 2.6;

    /// <summary>The pace with weights of a type. A type that was not measured is taken to be like Q4_0.</summary>
    public ProductPace PaceOf(string type) =>
        Paces.TryGetValue(type, out var measured) ? measured : new ProductPace(MultiplyAddsPerSecond / OneRowSlowdown, MultiplyAddsPerSecond);

    /// <summary>Whether both are the same except for name and host.</summary>
    public bool IsLike(WorkerProfile other) =>
        this with { Name = "", Host = 0, Paces = other.Paces } == other with { Name = "", Host = 0 }
        && Paces.Count == other.Paces.Count && Paces.All(pace => other.Paces.TryGetValue(pace.Key, out var theirs) && theirs == pace.Value);
}

/// <summary>A machine. Its workers share its processors and memory while they work at the same time.</summary>
/// <param name="Processors">0: enough for all its workers.</param>
/// <param name="ReadBytesPerSecond">All memory together; 0: enough for all its workers.</param>
/// <param name="MultiplyAddsPerSecond">All processors together; 0: enough for all its workers.</param>
public sealed record HostProfile(string Name, int Processors, double ReadBytesPerSecond, double MultiplyAddsPerSecond)
{
    public static HostProfile WithoutLimits(string name) => new(name, 0, 0, 0);
}

/// <summary>
/// The workers, hosts and links of a cluster. It knows which workers and which hosts are alike, so that a search can compare kinds in place of
/// single workers.
/// </summary>
public sealed class ClusterProfile
{
    readonly int[][] _workersOfHost;

    /// <exception cref="ArgumentException">A worker names an unknown host, or the workers of a host are not next to each other.</exception>
    public ClusterProfile(IReadOnlyList<WorkerProfile> workers, IReadOnlyList<HostProfile> hosts, LinkTable links)
    {
        (Workers, Hosts, Links) = (workers, hosts, links);
        if (links.Hosts != hosts.Count) throw new ArgumentException($"links of {links.Hosts} hosts for {hosts.Count}", nameof(links));
        _workersOfHost = [.. hosts.Select((_, host) => workers.Index().Where(worker => worker.Item.Host == host).Select(worker => worker.Index).ToArray())];
        if (_workersOfHost.Sum(ofHost => ofHost.Length) != workers.Count)
            throw new ArgumentException("a worker names a host that is not there", nameof(workers));
        if (_workersOfHost.Any(ofHost => ofHost.Length > 0 && ofHost[^1] - ofHost[0] != ofHost.Length - 1))
            throw new ArgumentException("workers of a host do not stand together", nameof(workers));
        WorkerKinds = Kinds(workers.Count, (a, b) => workers[a].IsLike(workers[b]));
        HostKinds = Kinds(hosts.Count, AreAlike);
    }

    public IReadOnlyList<WorkerProfile> Workers { get; }

    public IReadOnlyList<HostProfile> Hosts { get; }

    public LinkTable Links { get; }

    /// <summary>For each worker, the index of the first one that is like it; see <see cref="WorkerProfile.IsLike"/>.</summary>
    public IReadOnlyList<int> WorkerKinds { get; }

    /// <summary>For each host, the index of the first one that it is interchangeable with.</summary>
    public IReadOnlyList<int> HostKinds { get; }

    public IReadOnlyList<int> WorkersOf(int host) => _workersOfHost[host];

    /// <summary>The link between two different workers.</summary>
    public Link Between(int workerA, int workerB) => Links.Between(Workers[workerA].Host, Workers[workerB].Host);

    public Link ToCoordinator(int worker) => Links.ToCoordinator(Workers[worker].Host);

    /// <summary>
    /// A key that is the same for groups of like workers: the kind of each worker, the kind of its host, and which of them share a host. A host
    /// without a like one is a kind of its own, so its links count too.
    /// </summary>
    public string GroupKindOf(int[] workers)
    {
        Dictionary<int, int> places = [];
        return string.Join(',', workers.Select(worker =>
        {
            var host = Workers[worker].Host;
            if (!places.TryGetValue(host, out var place)) places[host] = place = places.Count;
            return $"{WorkerKinds[worker]}@{place}/{HostKinds[host]}";
        }));
    }

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
