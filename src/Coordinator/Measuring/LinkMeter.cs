using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>
/// Asks workers to measure the network links between their hosts, and remembers the results for later plans. Pairs of hosts are measured
/// one after the other, because measurements at the same time would disturb each other. In a cluster of many hosts only some pairs are
/// measured; the planner assumes that the others are similar. A measurement is of the way between two addresses and counts for a while, whatever
/// workers come and go there meanwhile. Not safe for concurrent use.
/// </summary>
public sealed partial class LinkMeter(PeerChannels channels, TimeProvider time, ILogger<LinkMeter> logger)
{
    /// <summary>The most pairs of hosts to measure: all pairs of 12 hosts.</summary>
    public const int MaxPairs = 66;

    /// <summary>For all pairs together. After it the plan is made with the links that were measured until then.</summary>
    public static readonly TimeSpan TotalDeadline = TimeSpan.FromSeconds(10);

    /// <summary>For one pair.</summary>
    public static readonly TimeSpan PairDeadline = TimeSpan.FromSeconds(4);

    /// <summary>How long a measurement counts. A link that was busy when it was measured must not look slow for ever.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    /// <summary>A slower link could not have sent the measurement's data within <see cref="PairDeadline"/>, so a lower result is wrong.</summary>
    const double MinBytesPerSecond = 1e3;

    /// <summary>The most measurements that are kept from one plan to the next.</summary>
    const int MaxKept = 16 * MaxPairs;

    readonly Dictionary<LinkKey, (Link Link, long At)> _measured = [];
    volatile IReadOnlyList<MeasuredWay> _known = [];

    /// <summary>What is remembered. Safe to ask at any time, from any thread.</summary>
    public IReadOnlyList<MeasuredWay> Known => _known;

    /// <summary>Measures the links that are not known yet.</summary>
    /// <returns>The link of each pair of hosts, by their ids. Pairs that could not be measured are missing.</returns>
    public async Task<IReadOnlyDictionary<(string, string), Link>> MeasureAsync(IReadOnlyList<Member> members, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(TotalDeadline, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        ForgetOld();
        Dictionary<(string, string), Link> links = [];
        foreach (var (from, to) in Pairs(members))
            if (await LinkBetweenAsync(from, to, ends.Token) is { } link) links[(HostOf(from), HostOf(to))] = link;
        _known = [.. _measured.Select(way => new MeasuredWay(way.Key.FromAddress, way.Key.ToAddress, way.Value.Link))];
        cancellation.ThrowIfCancellationRequested();
        return links;
    }

    /// <summary>
    /// One worker speaks for each host. Neighbours in the list come first, then hosts two places apart, and so on, so that as many hosts
    /// as possible are in some pair where not all pairs are taken.
    /// </summary>
    static IEnumerable<(Member From, Member To)> Pairs(IReadOnlyList<Member> members)
    {
        Member[] speakers = [.. members.DistinctBy(HostOf)];
        var all = speakers.SelectMany((from, index) => speakers.Skip(index + 1).Select((to, between) => (From: from, To: to, Distance: between)));
        return all.OrderBy(pair => pair.Distance).Take(MaxPairs).Select(pair => (pair.From, pair.To));
    }

    void ForgetOld()
    {
        var surplus = _measured.Count - MaxKept;
        foreach (var (key, (_, at)) in _measured.OrderBy(pair => pair.Value.At).ToList())
            if (surplus-- > 0 || time.GetElapsedTime(at) >= Longest) _measured.Remove(key);
    }

    async Task<Link?> LinkBetweenAsync(Member from, Member to, CancellationToken cancellation)
    {
        var key = new LinkKey(HostOf(from), from.Address.Host, HostOf(to), to.Address.Host);
        if (_measured.TryGetValue(key, out var known)) return known.Link;
        if (cancellation.IsCancellationRequested) return null;
        using var deadline = new CancellationTokenSource(PairDeadline, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            using var channel = channels.Open(from.Address);
            var request = new MeasureLinkRequest { Address = PeerAddress.Format(to.Address), Key = to.Key.For(PeerKey.LinkMeter).ToMessage() };
            var reply = await new Links.LinksClient(channel).MeasureAsync(request, from.Key.ToHeaders(), cancellationToken: ends.Token);
            if (!IsPossible(reply))
            {
                LogNotMeasured(from, to, $"it answered {reply}");
                return null;
            }
            LogMeasured(from, to, 1e6 * reply.RoundTripSeconds, reply.BytesPerSecond / 1e6);
            var link = new Link(reply.RoundTripSeconds, reply.BytesPerSecond);
            _measured[key] = (link, time.GetTimestamp());
            return link;
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            LogNotMeasured(from, to, RpcProblem.Describe(e));
            return null;
        }
    }

    /// <summary>Whether a link with these numbers could have been measured within the deadline. A worker may answer anything.</summary>
    static bool IsPossible(MeasureLinkReply reply) =>
        reply.RoundTripSeconds > 0 && reply.RoundTripSeconds <= PairDeadline.TotalSeconds
        && reply.BytesPerSecond >= MinBytesPerSecond && double.IsFinite(reply.BytesPerSecond);

    static string HostOf(Member member) => member.ToCandidate().Host;

    /// <summary>Not the ports: a worker that starts again may have another one, and the way is the same.</summary>
    readonly record struct LinkKey(string FromHost, string FromAddress, string ToHost, string ToAddress);

    [LoggerMessage(Level = LogLevel.Information, Message = "From {From} to {To}: round trip {Microseconds:0} us, {Megabytes:0} MB/s")]
    partial void LogMeasured(Member from, Member to, double microseconds, double megabytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The link from {From} to {To} is not measured: {Problem}")]
    partial void LogNotMeasured(Member from, Member to, string problem);
}

/// <summary>A link that was measured.</summary>
/// <param name="From">The address of the host on whose side it was measured.</param>
/// <param name="To">The address of the other one.</param>
public sealed record MeasuredWay(string From, string To, Link Link);
