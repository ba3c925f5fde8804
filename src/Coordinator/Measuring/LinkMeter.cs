using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>
/// Has workers on different hosts measure their ways to each other, one pair of hosts after the other so that they do not disturb
/// each other, and keeps the results. Of many hosts not all pairs are measured: the planner takes the rest to be like those. Not safe for concurrent use.
/// </summary>
public sealed partial class LinkMeter(PeerChannels channels, TimeProvider time, ILogger<LinkMeter> logger)
{
    /// <summary>All pairs of 12 hosts.</summary>
    public const int MostPairs = 66;

    /// <summary>For all pairs together: then the plan is made with what is known.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <summary>For one pair.</summary>
    public static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(4);

    /// <summary>What measures in time has more.</summary>
    const double LeastBytesPerSecond = 1e3;

    readonly Dictionary<(WorkerId From, WorkerId To), Link> _known = [];

    /// <summary>Round trips and bandwidths between hosts, by their ids, as far as they could be measured.</summary>
    public async Task<IReadOnlyDictionary<(string, string), Link>> MeasureAsync(IReadOnlyList<Member> members, CancellationToken cancellation)
    {
        using var longest = new CancellationTokenSource(Longest, time);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(longest.Token, cancellation);
        var firsts = members.DistinctBy(HostOf).ToList();
        var pairs = firsts.SelectMany((from, index) => firsts.Skip(index + 1).Select((to, between) => (From: from, To: to, Distance: between)));
        Forget(members);
        Dictionary<(string, string), Link> links = [];
        foreach (var (from, to, _) in pairs.OrderBy(pair => pair.Distance).Take(MostPairs))
            if (await LinkOfAsync(from, to, over.Token) is { } link) links[(HostOf(from), HostOf(to))] = link;
        cancellation.ThrowIfCancellationRequested();
        return links;
    }

    /// <summary>What is known of workers that are gone: they do not come back under their ids.</summary>
    void Forget(IReadOnlyList<Member> present)
    {
        var ids = present.Select(member => member.Id).ToHashSet();
        foreach (var pair in _known.Keys.Where(pair => !ids.Contains(pair.From) || !ids.Contains(pair.To)).ToList()) _known.Remove(pair);
    }

    async Task<Link?> LinkOfAsync(Member from, Member to, CancellationToken cancellation)
    {
        if (_known.TryGetValue((from.Id, to.Id), out var known)) return known;
        if (cancellation.IsCancellationRequested) return null;
        using var deadline = new CancellationTokenSource(CallDeadline, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            using var channel = channels.Open(from.Address);
            var request = new MeasureLinkRequest { Address = PeerAddress.Format(to.Address) };
            var reply = await new Links.LinksClient(channel).MeasureAsync(request, cancellationToken: ends.Token);
            if (!IsSound(reply))
            {
                LogNotMeasured(from, to, $"it answered {reply}");
                return null;
            }
            LogMeasured(from, to, 1e6 * reply.RoundTripSeconds, reply.BytesPerSecond / 1e6);
            return _known[(from.Id, to.Id)] = new Link(reply.RoundTripSeconds, reply.BytesPerSecond);
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            LogNotMeasured(from, to, RpcProblem.Describe(e));
            return null;
        }
    }

    /// <summary>Whether a link can be like that which was measured within the deadline.</summary>
    static bool IsSound(MeasureLinkReply reply) =>
        reply.RoundTripSeconds > 0 && reply.RoundTripSeconds <= CallDeadline.TotalSeconds
        && reply.BytesPerSecond >= LeastBytesPerSecond && double.IsFinite(reply.BytesPerSecond);

    static string HostOf(Member member) => member.ToCandidate().Host;
}
