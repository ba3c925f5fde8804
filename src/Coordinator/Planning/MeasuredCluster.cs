using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Planning.Profiles;

namespace LlamaCluster.Coordinator.Planning;

/// <summary>
/// The registered workers as a cluster's profile: what they measured, or, where not all of them have, their threads, or, where not all have said
/// those, all alike.
/// </summary>
/// <param name="Members">In the profile's order: those of a host stand together.</param>
public sealed record MeasuredCluster(ClusterProfile Profile, IReadOnlyList<Member> Members)
{
    /// <summary>Taken for a thread where nothing was measured: only relations count then.</summary>
    const double ThreadReadBytesPerSecond = 10e9;

    /// <summary>Multiply-adds for each byte that a worker can read, where they were not measured.</summary>
    const double MultiplyAddsPerByte = 8;

    /// <summary>Taken for a link that was not measured: that of one machine with itself.</summary>
    static readonly Link UnmeasuredLink = new(60e-6, 2e9);

    /// <param name="members">Not empty.</param>
    public static MeasuredCluster Of(IReadOnlyList<Member> members)
    {
        var hosts = members.GroupBy(HostOf).ToList();
        var read = ReadPaces(members);
        var multiply = members.All(member => member.Capabilities.MultiplyAddsPerSecond > 0)
            ? (Func<Member, double>)(member => member.Capabilities.MultiplyAddsPerSecond)
            : member => MultiplyAddsPerByte * read(member);
        var workers = hosts.SelectMany((host, index) => host.Select(member => new WorkerProfile(
            member.Name, index, member.Capabilities.MemoryBytes, member.Capabilities.Threads, read(member), multiply(member), new Dictionary<string, ProductPace>())));
        var profile = new ClusterProfile(
            [.. workers], [.. hosts.Select(host => new HostProfile(host.Key, 0, 0))], new LinkTable(hosts.Count, (_, _) => UnmeasuredLink, _ => UnmeasuredLink));
        return new MeasuredCluster(profile, [.. hosts.SelectMany(host => host)]);
    }

    static string HostOf(Member member) => member.Address.Host;

    static Func<Member, double> ReadPaces(IReadOnlyList<Member> members)
    {
        if (members.All(member => member.Capabilities.MemoryReadBytesPerSecond > 0)) return member => member.Capabilities.MemoryReadBytesPerSecond;
        return members.All(member => member.Capabilities.Threads > 0) ? member => member.Capabilities.Threads * ThreadReadBytesPerSecond : _ => ThreadReadBytesPerSecond;
    }
}
