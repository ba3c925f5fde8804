
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>A link on which each message is late.</summary>
sealed class SlowedLink(IPeerLink link, Action wait) : IPeerLink
{
    public string Kind => link.Kind;

    public string Peer => link.Peer;

    public bool HasMessage => link.HasMessage;

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        wait();
        link.Send(header, payload);
    }

    public int Receive(out LinkHeader header, Span<byte> payload) => link.Receive(out header, payload);

    public void Close(string reason) => link.Close(reason);

    public ValueTask DisposeAsync() => link.DisposeAsync();
}
