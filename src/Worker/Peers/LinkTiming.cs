using System.Diagnostics;
using LlamaCluster.Protos;
using static LlamaCluster.Protos.RankFrame.Types;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// Measures how long a message of the usual size takes on a link, by round trips. The exchanges of a token wait for such messages.
/// </summary>
static class LinkTiming
{
    public const int Bytes = 32 << 10;

    /// <summary>The first trips do not count: code is compiled and buffers grow meanwhile.</summary>
    const int WarmUps = 8;

    const int MaxTrips = 33;

    /// <summary>No new trip begins after this time. On a slow link a few trips tell enough.</summary>
    static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(250);

    /// <summary>To be called by the rank that measures, while the other one is in <see cref="Echo"/>.</summary>
    /// <returns>The median of half a round trip.</returns>
    public static TimeSpan Measure(IPeerLink link, ulong viewVersion)
    {
        var payload = new byte[Bytes];
        for (var i = 0; i < WarmUps; i++) Trip(link, viewVersion, payload);
        var trips = new List<TimeSpan>();
        for (var begun = Stopwatch.GetTimestamp(); trips.Count < MaxTrips && (trips.Count == 0 || Stopwatch.GetElapsedTime(begun) < Longest);)
            trips.Add(Trip(link, viewVersion, payload));
        trips.Sort();
        return trips[trips.Count / 2] / 2;
    }

    /// <summary>Tells the other rank that no more probes come on this link, and which link was chosen.</summary>
    public static void End(IPeerLink link, ulong viewVersion, PeerLinkType chosen) =>
        link.Send(new LinkHeader(viewVersion, 0, Content.ProbeEnd, 0, (uint)chosen), []);

    /// <summary>Sends probes back until there are no more.</summary>
    /// <returns>The link that the other rank chose.</returns>
    public static PeerLinkType Echo(IPeerLink link)
    {
        var payload = new byte[Bytes];
        while (true)
        {
            var length = link.Receive(out var header, payload);
            if (header.Content == Content.ProbeEnd) return (PeerLinkType)header.Chunk;
            if (header.Content != Content.Probe) throw new PeerLinkException($"{link.Peer} sent {header} while the link was being measured");
            link.Send(header, payload.AsSpan(0, length));
        }
    }

    static TimeSpan Trip(IPeerLink link, ulong viewVersion, byte[] payload)
    {
        var begun = Stopwatch.GetTimestamp();
        link.Send(new LinkHeader(viewVersion, 0, Content.Probe, 0, 0), payload);
        var length = link.Receive(out var header, payload);
        if (header.Content != Content.Probe || length != Bytes) throw new PeerLinkException($"{link.Peer} answered a probe with {length} bytes of {header}");
        return Stopwatch.GetElapsedTime(begun);
    }
}
