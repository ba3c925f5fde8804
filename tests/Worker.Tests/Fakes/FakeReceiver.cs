using System.Net;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>The worker of the next stage, as a test wants it: what it answers to each frame is up to the test.</summary>
sealed class FakeReceiver : Wire.Activations.ActivationsBase, IAsyncDisposable
{
    WebApplication? _app;

    public Uri Address => new(_app!.Urls.Single());

    /// <summary>Null: no answer. An exception ends the stream.</summary>
    public Func<Wire.ActivationFrame, Wire.ActivationAck?> OnFrame { get; set; } = frame => new Wire.ActivationAck { StepId = frame.StepId };

    public static async Task<FakeReceiver> StartAsync()
    {
        var receiver = new FakeReceiver();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        builder.Services.AddClusterRpc().AddSingleton(receiver);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        receiver._app = builder.Build();
        receiver._app.MapGrpcService<FakeReceiver>();
        await receiver._app.StartAsync();
        return receiver;
    }

    public override async Task Send(
        IAsyncStreamReader<Wire.ActivationFrame> frames, IServerStreamWriter<Wire.ActivationAck> acks, ServerCallContext context)
    {
        await context.WriteResponseHeadersAsync([]);
        while (await frames.MoveNext(context.CancellationToken))
            if (OnFrame(frames.Current) is { } ack) await acks.WriteAsync(ack, context.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _app!.StopAsync();
        await _app.DisposeAsync();
    }
}
