using System.Collections.Concurrent;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>One end of a link on which every message takes one unit of the ranks' time, and nothing else takes any.</summary>
/// <param name="arriving">When the messages under way to this end are here.</param>
/// <param name="leaving">The same of the other end.</param>
sealed class ClockedLink(IPeerLink link, RankClock clock, ConcurrentQueue<int> arriving, ConcurrentQueue<int> leaving) : IPeerLink
{
    public string Kind => link.Kind;

    public string Peer => link.Peer;

    public bool HasMessage => link.HasMessage;

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        leaving.Enqueue(clock.Now + 1);
        link.Send(header, payload);
    }

    public int Receive(out LinkHeader header, Span<byte> payload)
    {
        var length = link.Receive(out header, payload);
        Assert.True(arriving.TryDequeue(out var time));
        clock.WaitUntil(time);
        return length;
    }

    public void Close(string reason) => link.Close(reason);

    public ValueTask DisposeAsync() => link.DisposeAsync();
}
