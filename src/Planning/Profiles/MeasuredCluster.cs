namespace LlamaCluster.Planning.Profiles;

/// <summary>
/// The registered workers as a cluster's profile. It uses measurements if all workers have them, else thread counts if all workers reported
/// them, else it takes all workers as equal. Workers that measured nearly the same get the same figures, so that noise does not make
/// like workers different.
/// </summary>
/// <param name="Members">In the profile's order: workers of one host are next to each other.</param>
public sealed record MeasuredCluster(ClusterProfile Profile, IReadOnlyList<CandidateWorker> Members)
{
    /// <summary>Assumed per thread where nothing was measured. Then only the relations between workers matter.</summary>
    const double ThreadReadBytesPerSecond = 10e9;

    /// <summary>Multiply-adds for each byte that a worker can read, assumed where they were not measured.</summary>
    const double MultiplyAddsPerByte = 8;

    /// <summary>Between workers of one machine.</summary>
    static readonly Link Loopback = new(10e-6, 3e9);

    /// <summary>Assumed for links if none was measured: gigabit Ethernet.</summary>
    static readonly Link Unmeasured = new(200e-6, 125e6);

    /// <summary>The time that gRPC itself takes for a message between two processes. A measured round trip contains it twice.</summary>
    const double CallSeconds = 80e-6;

    /// <param name="members">Not empty.</param>
    /// <param name="links">The measured links, by <see cref="CandidateWorker.Host"/>.</param>
    public static MeasuredCluster Of(IReadOnlyList<CandidateWorker> members, IReadOnlyDictionary<(string, string), Link> links)
    {
        var hosts = members.GroupBy(member => member.Host).ToList();
        var ordered = hosts.SelectMany(host => host).ToList();
        var measured = ordered.All(member => member.Machine.MemoryReadBytesPerSecond > 0);
        var machines = Alike(ordered.Select(member => member.Machine));
        var workers = ordered
            .Select((member, index) => WorkerOf(member, machines[index], hosts.FindIndex(host => host.Contains(member)), measured, ordered)).ToList();
        var ofHost = ordered.Zip(machines).ToLookup(pair => pair.First.Host, pair => pair.Second);
        var profile = new ClusterProfile(
            workers, [.. hosts.Select(host => HostOf(host.Key, ofHost[host.Key], measured))], LinksOf([.. hosts.Select(host => host.Key)], links));
        return new MeasuredCluster(profile, ordered);
    }

    /// <summary>Each machine gets the figures of the first one that measured nearly the same, but keeps its own memory.</summary>
    static IReadOnlyList<MachineFacts> Alike(IEnumerable<MachineFacts> machines)
    {
        List<MachineFacts> firsts = [];
        return [.. machines.Select(own =>
        {
            if (firsts.Find(first => first.IsNearly(own)) is { } like) return like with { MemoryBytes = own.MemoryBytes };
            firsts.Add(own);
            return own;
        })];
    }

    static WorkerProfile WorkerOf(CandidateWorker member, MachineFacts own, int host, bool measured, List<CandidateWorker> all)
    {
        var read = measured ? own.MemoryReadBytesPerSecond
            : all.All(other => other.Machine.Threads > 0) ? own.Threads * ThreadReadBytesPerSecond
            : ThreadReadBytesPerSecond;
        var multiply = measured && all.All(other => other.Machine.MultiplyAddsPerSecond > 0) ? own.MultiplyAddsPerSecond : MultiplyAddsPerByte * read;
        return new WorkerProfile(member.Name, host, own.MemoryBytes, own.Threads, read, multiply, measured ? own.Paces : new Dictionary<string, ProductPace>());
    }

    static HostProfile HostOf(string name, IEnumerable<MachineFacts> workers, bool measured) => measured
        ? new HostProfile(
            name, workers.Max(worker => worker.HostProcessors),
            workers.Max(worker => worker.HostReadBytesPerSecond), workers.Max(worker => worker.HostMultiplyAddsPerSecond))
        : HostProfile.WithoutLimits(name);

    /// <summary>Links without the time of gRPC, which the planner counts as a program's overhead.</summary>
    static LinkTable LinksOf(List<string> hosts, IReadOnlyDictionary<(string, string), Link> links)
    {
        static Link Network(Link measured) =>
            measured with { RoundTripSeconds = Math.Max(Loopback.RoundTripSeconds, measured.RoundTripSeconds - 2 * CallSeconds) };
        var usual = links.Count == 0
            ? Unmeasured
            : Network(new Link(links.Values.Max(link => link.RoundTripSeconds), links.Values.Min(link => link.BytesPerSecond)));
        Link Between(int a, int b) => a == b ? Loopback
            : links.TryGetValue((hosts[a], hosts[b]), out var there) ? Network(there)
            : links.TryGetValue((hosts[b], hosts[a]), out var back) ? Network(back)
            : usual;
        return new LinkTable(hosts.Count, Between, _ => hosts.Count == 1 ? Loopback : usual);
    }
}
