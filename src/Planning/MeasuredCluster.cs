using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning;

/// <summary>
/// The registered workers as a cluster's profile: what they measured, or, where not all of them have, their threads, or, where not all have said
/// those, all alike. Measurements that differ by little are taken to be the same, so that chance does not make like workers different.
/// </summary>
/// <param name="Members">In the profile's order: those of a host stand together.</param>
public sealed record MeasuredCluster(ClusterProfile Profile, IReadOnlyList<CandidateWorker> Members)
{
    /// <summary>Taken for a thread where nothing was measured: only relations count then.</summary>
    const double ThreadReadBytesPerSecond = 10e9;

    /// <summary>Multiply-adds for each byte that a worker can read, where they were not measured.</summary>
    const double MultiplyAddsPerByte = 8;

    /// <summary>Between workers of one machine.</summary>
    static readonly Link Loopback = new(10e-6, 3e9);

    /// <summary>Taken for a link that could not be measured, if none was: gigabit Ethernet.</summary>
    static readonly Link Unmeasured = new(200e-6, 125e6);

    /// <param name="members">Not empty.</param>
    /// <param name="links">By <see cref="CandidateWorker.Host"/>; as far as they were measured.</param>
    public static MeasuredCluster Of(IReadOnlyList<CandidateWorker> members, IReadOnlyDictionary<(string, string), Link> links)
    {
        var hosts = members.GroupBy(member => member.Host).ToList();
        var ordered = hosts.SelectMany(host => host).ToList();
        var measured = ordered.All(member => member.Machine.MemoryReadBytesPerSecond > 0);
        var likes = LikeMachines.Of([.. ordered.Select(member => member.Machine)]);
        var workers = ordered.Select((member, index) => WorkerOf(member, likes[index], hosts.FindIndex(host => host.Contains(member)), measured, ordered)).ToList();
        var ofHost = ordered.Zip(likes).ToLookup(pair => pair.First.Host, pair => pair.Second);
        var profile = new ClusterProfile(workers, [.. hosts.Select(host => HostOf(host.Key, ofHost[host.Key], measured))], LinksOf([.. hosts.Select(host => host.Key)], links));
        return new MeasuredCluster(profile, ordered);
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
            name, workers.Max(worker => worker.HostProcessors), workers.Max(worker => worker.HostReadBytesPerSecond), workers.Max(worker => worker.HostMultiplyAddsPerSecond))
        : HostProfile.WithoutLimits(name);

    /// <summary>What gRPC itself takes is in the overheads, not in the link.</summary>
    static LinkTable LinksOf(List<string> hosts, IReadOnlyDictionary<(string, string), Link> links)
    {
        Link Network(Link measured) => measured with { RoundTripSeconds = Math.Max(Loopback.RoundTripSeconds, measured.RoundTripSeconds - 2 * new Overheads().CallSeconds) };
        var usual = links.Count == 0 ? Unmeasured : Network(new Link(links.Values.Max(link => link.RoundTripSeconds), links.Values.Min(link => link.BytesPerSecond)));
        Link Between(int a, int b) => a == b ? Loopback
            : links.TryGetValue((hosts[a], hosts[b]), out var there) ? Network(there)
            : links.TryGetValue((hosts[b], hosts[a]), out var back) ? Network(back)
            : usual;
        return new LinkTable(hosts.Count, Between, _ => hosts.Count == 1 ? Loopback : usual);
    }
}
