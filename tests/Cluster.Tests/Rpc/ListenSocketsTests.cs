using System.Net;
using System.Net.Sockets;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace LlamaCluster.Cluster.Tests.Rpc;

public sealed class ListenSocketsTests
{
    [Fact]
    public void Open_APortInUse_IsOneLineThatSaysWhatToDo()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        using var sockets = new ListenSockets();
        var address = new ListenAddress("http", (IPEndPoint)other.LocalEndpoint);
        var problem = Assert.Throws<IOException>(() => sockets.Open(address)).Message;
        Assert.Equal($"cannot listen on http://{other.LocalEndpoint}: address already in use: stop what uses the port, or choose another one", problem);
    }

    [Fact]
    public void Open_AnotherMachinesAddress_IsOneLineThatSaysWhatToDo()
    {
        using var sockets = new ListenSockets();
        var forDocuments = ListenAddress.Parse("http://192.0.2.1:0");   // RFC 5737: no machine's own
        var problem = Assert.Throws<IOException>(() => sockets.Open(forDocuments)).Message;
        Assert.StartsWith("cannot listen on http://192.0.2.1:0: this machine has no such address", problem);
        Assert.DoesNotContain('\n', problem);
    }

    [Fact]
    public void Open_AnAddressThatNeedNotBeThere_IsLeftOut()
    {
        using var sockets = new ListenSockets();
        sockets.Open(ListenAddress.Parse("http://192.0.2.1:0"), ifThereIs: true);
    }

    [Theory]
    [InlineData(SocketError.AccessDenied, "choose a higher one")]
    [InlineData(SocketError.AddressFamilyNotSupported, "give an IPv4 address")]
    [InlineData(SocketError.TooManyOpenSockets, "")]
    public void Describe_EveryReason_IsOneLine(SocketError error, string advice)
    {
        var text = ListenSockets.Describe(new SocketException((int)error));
        Assert.EndsWith(advice, text);
        Assert.NotEmpty(text);
        Assert.DoesNotContain('\n', text);
    }

    [Fact]
    public async Task Whoever_connects_before_the_server_is_there_waits_for_it()
    {
        using var sockets = new ListenSockets();
        var options = new SocketTransportOptions();
        sockets.Configure(options);
        var address = sockets.OpenAhead(ListenAddress.Parse("http://127.0.0.1:0"));
        using var early = new TcpClient();
        await early.ConnectAsync(address.EndPoint).Soon();
        sockets.Open(address);   // as its host does, which knows the address from its options
        using var listening = options.CreateBoundListenSocket(address.EndPoint);
        using var taken = await listening.AcceptAsync().Soon();
        Assert.Equal(((IPEndPoint)early.Client.LocalEndPoint!).Port, ((IPEndPoint)taken.RemoteEndPoint!).Port);
        Assert.NotEqual(0, address.EndPoint.Port);
    }

    [Fact]
    public void The_server_gets_the_sockets_that_were_opened_each_once()
    {
        using var sockets = new ListenSockets();
        var options = new SocketTransportOptions();
        sockets.Configure(options);
        var any = ListenAddress.Parse("http://127.0.0.1:0");
        sockets.Open(any);
        sockets.Open(any);
        using var first = options.CreateBoundListenSocket(any.EndPoint);
        using var second = options.CreateBoundListenSocket(any.EndPoint);
        using var third = options.CreateBoundListenSocket(any.EndPoint);   // none was opened for it
        Assert.Equal(3, new[] { first, second, third }.Select(socket => ((IPEndPoint)socket.LocalEndPoint!).Port).Distinct().Count());
        using var client = new TcpClient();
        client.Connect((IPEndPoint)first.LocalEndPoint!);   // it listens already
    }
}
