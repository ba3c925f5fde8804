using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>Who comes through the listener, and who does not.</summary>
public class DirectListenerTests
{
    static ReadOnlySpan<byte> Greeting => "LLMRANK1"u8;

    [Fact]
    public async Task Token_LetsOneIn_AndClosesThePort()
    {
        await using var listener = Open();
        using var dialled = await DialAsync(listener).Soon();
        using var accepted = await listener.Accepted.Soon();
        Assert.NotNull(accepted);
        await Assert.ThrowsAsync<IOException>(() => DialAsync(listener).Soon());
    }

    /// <summary>A caller that chooses its only connection at once does so while the other side still notes that it has come.</summary>
    [Fact]
    public async Task CallerThatWasWelcomed_IsAccepted_HoweverSoonTheDoorIsClosed()
    {
        for (var i = 0; i < 500; i++)
        {
            var listener = Open();
            using var dialled = await DialAsync(listener).Soon();
            await listener.DisposeAsync();
            using var accepted = await listener.Accepted.Soon();
            Assert.True(accepted is not null, $"the {i + 1}th");
        }
    }

    [Fact]
    public async Task WrongToken_IsHungUpOn_AndTheRightOneStillGetsIn()
    {
        await using var listener = Open();
        await Assert.ThrowsAsync<IOException>(() => DialAsync(listener, RandomNumberGenerator.GetBytes(DirectConnection.TokenBytes)).Soon());
        await AssertHungUp(listener, [.. Greeting, .. new byte[DirectConnection.TokenBytes]]);
        using var dialled = await DialAsync(listener).Soon();
        using var accepted = await listener.Accepted.Soon();
        Assert.NotNull(accepted);
    }

    [Fact]
    public async Task Garbage_IsHungUpOnAtItsFirstBytes()
    {
        await using var listener = Open();
        await AssertHungUp(listener, "GET / HT"u8.ToArray());
        await AssertHungUp(listener, new byte[8]);
    }

    [Fact]
    public async Task SilentCallers_UpToABound_KeepNobodyOutForEver()
    {
        await using var listener = Open();
        var silent = new List<Socket>();
        for (var i = 0; i < 5; i++) silent.Add(await ConnectAsync(listener));
        using var dialled = await DialAsync(listener).Soon();
        using var accepted = await listener.Accepted.Soon();
        Assert.NotNull(accepted);
        // With the direct connection opened, the others are let go.
        foreach (var socket in silent) Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    /// <summary>No more are heard than there are places: the rank that comes then is not let in, gives up, and nothing stays behind.</summary>
    [Fact]
    public async Task SilentCallers_InAllPlaces_AreGoneWithTheDoor()
    {
        var listener = Open();
        var silent = new List<Socket>();
        for (var i = 0; i < DirectListener.MaxCallers; i++) silent.Add(await ConnectAsync(listener));
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DirectConnection.DialAsync(
            "127.0.0.1", (int)listener.Offer.Port, listener.Offer.Token.Memory, null, WaitExtensions.Deadline, patience.Token).Soon());

        await listener.DisposeAsync().AsTask().Soon();

        Assert.Null(await listener.Accepted.Soon());
        foreach (var socket in silent) Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    [Fact]
    public async Task Nobody_IsAConnectionThatDidNotCome()
    {
        await using var listener = Open();
        await listener.DisposeAsync();
        Assert.Null(await listener.Accepted.Soon());
    }

    [Fact]
    public async Task Tls_AdmitsOnlyWhoTheSameAuthorityVouchesFor()
    {
        using var authority = new TestAuthority();
        using var another = new TestAuthority();
        using var server = Load(authority, "server", authority);
        using var member = Load(authority, "member", authority);
        using var stranger = Load(another, "stranger", authority);
        using var expired = Load(authority, "expired", authority, DateTimeOffset.UtcNow.AddHours(-1));
        await using var listener = Open(server);
        foreach (var refused in new[] { null, stranger, expired })
            await Assert.ThrowsAsync<IOException>(() => DialAsync(listener, tls: refused).Soon());
        using var dialled = await DialAsync(listener, tls: member).Soon();
        using var accepted = await listener.Accepted.Soon();
        Assert.NotNull(accepted);
    }

    [Fact]
    public async Task Tls_OfAServerThatAnotherAuthorityVouchesFor_IsRefused()
    {
        using var authority = new TestAuthority();
        using var another = new TestAuthority();
        using var server = Load(another, "server", authority);
        using var member = Load(authority, "member", authority);
        await using var listener = Open(server);
        await Assert.ThrowsAsync<IOException>(() => DialAsync(listener, tls: member).Soon());
    }

    static DirectListener Open(ClusterTls? tls = null) =>
        DirectListener.Open(IPAddress.Loopback, tls, WaitExtensions.Deadline, NullLogger.Instance, CancellationToken.None);

    static Task<DirectConnection> DialAsync(DirectListener listener, byte[]? token = null, ClusterTls? tls = null) =>
        DirectConnection.DialAsync(
            "127.0.0.1", (int)listener.Offer.Port, token ?? listener.Offer.Token.Memory, tls, WaitExtensions.Deadline, CancellationToken.None);

    static ClusterTls Load(TestAuthority issuer, string name, TestAuthority trusted, DateTimeOffset? end = null)
    {
        var (certificate, key) = issuer.Issue(name, end);
        return ClusterTls.Load(new TlsFiles(certificate, key, trusted.Certificate));
    }

    static async Task AssertHungUp(DirectListener listener, byte[] said)
    {
        using var socket = await ConnectAsync(listener);
        await socket.SendAsync(said);
        Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    static async Task<Socket> ConnectAsync(DirectListener listener)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, (int)listener.Offer.Port);
        return socket;
    }

    static async Task<int> ReadAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1], SocketFlags.None);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return 0;   // hung up with bytes unread
        }
    }
}
