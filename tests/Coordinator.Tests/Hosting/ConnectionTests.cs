using System.Net;
using System.Net.Sockets;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>Clients that open connections and do nothing with them, or little.</summary>
public sealed class ConnectionTests
{
    const string Ask = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const string Answered = "{\"status\":\"alive\"}";

    static readonly ConnectionLimits Short = ConnectionLimits.OfCoordinator with { Headers = TimeSpan.FromSeconds(1), Idle = TimeSpan.FromSeconds(1) };

    [Theory]
    [InlineData("", "")]
    [InlineData("GET /health HTTP/1.1\r\nHost: lo", " 408 ")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: appl", " 408 ")]
    [InlineData(Ask, Answered)]
    public async Task A_client_that_stops_is_hung_up_on(string said, string answer)
    {
        await using var cluster = await StartAsync(Short);
        using var clients = Clients(cluster.Host.ApiAddress);
        Assert.Contains(answer, await RawConnections.HungUpAsync(await clients.OpenAsync(said)));
    }

    [Fact]
    public async Task A_thousand_silent_connections_take_little_and_keep_nobody_from_being_answered()
    {
        const int many = 1000;
        await using var cluster = await StartAsync(Short with { Idle = WaitExtensions.Deadline });
        using var clients = Clients(cluster.Host.ApiAddress);
        Assert.True(await RawConnections.SaysAsync(await clients.OpenAsync(Ask), Answered));
        var before = GC.GetTotalMemory(forceFullCollection: true);

        var open = await clients.OpenAsync(many);
        foreach (var each in await clients.OpenAsync(many / 10, Ask)) Assert.True(await RawConnections.SaysAsync(each, Answered));

        // Both ends are in this process.
        Assert.InRange((GC.GetTotalMemory(forceFullCollection: true) - before) / many, long.MinValue, 64 << 10);
        Assert.Equal(many, open.Count);
    }

    [Fact]
    public async Task One_connection_too_many_is_hung_up_on_and_finds_room_when_another_one_ends()
    {
        const int most = 200;
        await using var cluster = await StartAsync(Short with { Most = most, Idle = WaitExtensions.Deadline });
        using var clients = Clients(cluster.Host.ApiAddress);
        var open = await clients.OpenAsync(most, Ask);
        foreach (var each in open) Assert.True(await RawConnections.SaysAsync(each, Answered));

        Assert.Equal("", await RawConnections.HungUpAsync(await clients.OpenAsync(Ask)));

        open[0].Socket.Close();
        using var deadline = new CancellationTokenSource(WaitExtensions.Deadline);
        while (!await RawConnections.SaysAsync(await clients.OpenAsync(Ask), Answered)) deadline.Token.ThrowIfCancellationRequested();
        // The workers' address counts for itself.
        using var workers = new TcpClient();
        await workers.ConnectAsync(IPAddress.Loopback, cluster.Host.GrpcAddress.Port);
        await workers.GetStream().WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray());
        Assert.NotEqual(0, await workers.GetStream().ReadAsync(new byte[64]).AsTask().WaitAsync(WaitExtensions.Deadline));
    }

    static Task<TestCluster> StartAsync(ConnectionLimits limits) => TestCluster.StartAsync(change: services => services.AddSingleton(limits));

    static RawConnections Clients(Uri address) => new(new IPEndPoint(IPAddress.Loopback, address.Port));
}
