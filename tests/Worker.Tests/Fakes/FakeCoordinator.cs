using System.Net;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>The coordinator's side of Membership and Weights, on loopback.</summary>
sealed class FakeCoordinator : IAsyncDisposable
{
    readonly WebApplication _app;

    FakeCoordinator(WebApplication app, FakeMembership membership, FakeWeights? weights) => (_app, Membership, Served) = (app, membership, weights);

    public FakeMembership Membership { get; }

    public FakeWeights? Served { get; }

    public FakeWeights Weights => Served ?? throw new InvalidOperationException("this coordinator has no model");

    public Uri Address => new(_app.Urls.Single());

    /// <param name="digest">What it says that the model's digest is; null: the right one.</param>
    /// <param name="port">0: any; another one to come back where a coordinator was.</param>
    public static async Task<FakeCoordinator> StartAsync(IModelWeights? model = null, int port = 0, string? digest = null)
    {
        var (membership, weights) = (new FakeMembership(), model is null ? null : new FakeWeights(model) { Digest = digest ?? model.ComputeDigest() });
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        builder.Services.AddClusterRpc().AddSingleton(membership);
        if (weights is not null) builder.Services.AddSingleton(weights);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.MapGrpcService<FakeMembership>();
        if (weights is not null) app.MapGrpcService<FakeWeights>();
        await app.StartAsync();
        return new FakeCoordinator(app, membership, weights);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
