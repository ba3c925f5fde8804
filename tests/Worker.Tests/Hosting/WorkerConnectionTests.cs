using System.Net;
using Grpc.Health.V1;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Hosting;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Tests.Hosting;

/// <summary>Strangers that open connections to a worker's port and do nothing with them, or little.</summary>
public sealed class WorkerConnectionTests
{
    /// <summary>An HTTP/2 connection's first words, and an empty frame of settings.</summary>
    const string Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0";

    static readonly ConnectionLimits Short = ConnectionLimits.OfWorker with { Headers = TimeSpan.FromSeconds(1), Idle = TimeSpan.FromSeconds(1) };

    [Theory]
    [InlineData("")]
    [InlineData("PRI * HT")]
    [InlineData(Preface)]
    [InlineData(Preface + "\0\0\u0004\u0001\0\0\0\0\u0001abcd")]   // headers that do not end
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    public async Task Who_stops_is_hung_up_on(string said)
    {
        await using var worker = await StartAsync(Short);
        using var strangers = Strangers(worker);
        await RawConnections.HungUpAsync(await strangers.OpenAsync(said));
    }

    [Theory]
    [InlineData("")]
    [InlineData(Preface)]
    public async Task A_thousand_idle_connections_take_little_and_keep_nobody_from_being_answered(string said)
    {
        const int many = 1000;
        await using var worker = await StartAsync(Short with { Idle = WaitExtensions.Deadline });
        await AnswersAsync(worker);
        using var strangers = Strangers(worker);
        var before = GC.GetTotalMemory(forceFullCollection: true);

        await strangers.OpenAsync(many, said);
        await AnswersAsync(worker);

        // Both ends are in this process.
        Assert.InRange((GC.GetTotalMemory(forceFullCollection: true) - before) / many, long.MinValue, 128 << 10);
    }

    [Fact]
    public async Task One_connection_too_many_is_hung_up_on()
    {
        const int most = 100;
        await using var worker = await StartAsync(Short with { Most = most, Idle = WaitExtensions.Deadline });
        using var strangers = Strangers(worker);
        foreach (var each in await strangers.OpenAsync(most, Preface))
            Assert.NotEqual(0, await each.ReadAsync(new byte[64]).AsTask().WaitAsync(WaitExtensions.Deadline));

        Assert.Equal("", await RawConnections.HungUpAsync(await strangers.OpenAsync(Preface)));
    }

    static async Task<WorkerHost> StartAsync(ConnectionLimits limits)
    {
        var host = WorkerHost.Create(
            new WorkerOptions { Coordinator = new Uri("http://127.0.0.1:1"), Threads = 1, MemoryBytes = 1L << 30 },
            services => services.AddSingleton(limits).AddSingleton<IModelLoader>(new FakeModel()).AddLogging(logging => logging.ClearProviders()));
        await host.StartAsync();
        return host;
    }

    static async Task AnswersAsync(WorkerHost worker)
    {
        using var channel = new PeerChannels().Open(worker.Address);
        await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Deadline.Call);
    }

    static RawConnections Strangers(WorkerHost worker) => new(new IPEndPoint(IPAddress.Loopback, worker.Address.Port));
}
