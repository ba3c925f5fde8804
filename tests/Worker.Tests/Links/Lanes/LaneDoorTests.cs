using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Links.Lanes;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Links.Lanes;

/// <summary>Who comes through the door, and who does not.</summary>
public class LaneDoorTests
{
    static ReadOnlySpan<byte> Greeting => "LLMLANE1"u8;

    [Fact]
    public async Task Token_LetsOneIn_AndClosesThePort()
    {
        await using var door = Open();
        using var dialled = await DialAsync(door).Soon();
        using var came = await door.Came.Soon();
        Assert.NotNull(came);
        await Assert.ThrowsAsync<IOException>(() => DialAsync(door).Soon());
    }

    [Fact]
    public async Task WrongToken_IsHungUpOn_AndTheRightOneStillGetsIn()
    {
        await using var door = Open();
        await Assert.ThrowsAsync<IOException>(() => DialAsync(door, RandomNumberGenerator.GetBytes(Lane.TokenBytes)).Soon());
        await AssertHungUp(door, [.. Greeting, .. new byte[Lane.TokenBytes]]);
        using var dialled = await DialAsync(door).Soon();
        using var came = await door.Came.Soon();
        Assert.NotNull(came);
    }

    [Fact]
    public async Task Garbage_IsHungUpOnAtItsFirstBytes()
    {
        await using var door = Open();
        await AssertHungUp(door, "GET / HT"u8.ToArray());
        await AssertHungUp(door, new byte[8]);
    }

    [Fact]
    public async Task SilentCallers_UpToABound_KeepNobodyOutForEver()
    {
        await using var door = Open();
        var silent = new List<Socket>();
        for (var i = 0; i < 5; i++) silent.Add(await ConnectAsync(door));
        using var dialled = await DialAsync(door).Soon();
        using var came = await door.Came.Soon();
        Assert.NotNull(came);
        // With the lane opened, the others are let go.
        foreach (var socket in silent) Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    /// <summary>No more are heard than there are places: the rank that comes then is not let in, gives up, and nothing stays behind.</summary>
    [Fact]
    public async Task SilentCallers_InAllPlaces_AreGoneWithTheDoor()
    {
        var door = Open();
        var silent = new List<Socket>();
        for (var i = 0; i < LaneDoor.MostCallers; i++) silent.Add(await ConnectAsync(door));
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Lane.DialAsync(
            "127.0.0.1", (int)door.Offer.Port, door.Offer.Token.Memory, null, WaitExtensions.Deadline, patience.Token).Soon());

        await door.DisposeAsync().AsTask().Soon();

        Assert.Null(await door.Came.Soon());
        foreach (var socket in silent) Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    [Fact]
    public async Task Nobody_IsALaneThatDidNotCome()
    {
        await using var door = Open();
        await door.DisposeAsync();
        Assert.Null(await door.Came.Soon());
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
        await using var door = Open(server);
        foreach (var refused in new[] { null, stranger, expired })
            await Assert.ThrowsAsync<IOException>(() => DialAsync(door, tls: refused).Soon());
        using var dialled = await DialAsync(door, tls: member).Soon();
        using var came = await door.Came.Soon();
        Assert.NotNull(came);
    }

    [Fact]
    public async Task Tls_OfAServerThatAnotherAuthorityVouchesFor_IsRefused()
    {
        using var authority = new TestAuthority();
        using var another = new TestAuthority();
        using var server = Load(another, "server", authority);
        using var member = Load(authority, "member", authority);
        await using var door = Open(server);
        await Assert.ThrowsAsync<IOException>(() => DialAsync(door, tls: member).Soon());
    }

    static LaneDoor Open(ClusterTls? tls = null) => LaneDoor.Open(IPAddress.Loopback, tls, WaitExtensions.Deadline, NullLogger.Instance, CancellationToken.None);

    static Task<Lane> DialAsync(LaneDoor door, byte[]? token = null, ClusterTls? tls = null) =>
        Lane.DialAsync("127.0.0.1", (int)door.Offer.Port, token ?? door.Offer.Token.Memory, tls, WaitExtensions.Deadline, CancellationToken.None);

    static ClusterTls Load(TestAuthority issuer, string name, TestAuthority trusted, DateTimeOffset? end = null)
    {
        var (certificate, key) = issuer.Issue(name, end);
        return ClusterTls.Load(new TlsFiles(certificate, key, trusted.Certificate));
    }

    static async Task AssertHungUp(LaneDoor door, byte[] said)
    {
        using var socket = await ConnectAsync(door);
        await socket.SendAsync(said);
        Assert.Equal(0, await ReadAsync(socket).Soon());
    }

    static async Task<Socket> ConnectAsync(LaneDoor door)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, (int)door.Offer.Port);
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
