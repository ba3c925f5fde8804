using System.Net;
using System.Net.Sockets;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Peers;

public sealed class PeerSocketTests
{
    /// <summary>Else a small message would wait until the other end has acknowledged the one before it: 40 ms.</summary>
    [Fact]
    public async Task Small_messages_are_sent_at_once()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint).Soon();

        using var stream = PeerSocket.Over(socket, WaitExtensions.Deadline);

        Assert.True(socket.NoDelay);
        Assert.True(
            socket.SendBufferSize >= IPeerLink.Window && socket.ReceiveBufferSize >= IPeerLink.Window,
            "the window does not fit into the connection's buffers");
    }
}
