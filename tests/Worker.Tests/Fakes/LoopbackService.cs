using System.Net;
using LlamaCluster.Cluster.Rpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>A gRPC service of a test's, on a free port of loopback.</summary>
sealed class LoopbackService : IAsyncDisposable
{
    readonly WebApplication _app;

    LoopbackService(WebApplication app) => _app = app;

    public Uri Address => new(_app.Urls.Single());

    public static async Task<LoopbackService> StartAsync<TService>(TService service) where TService : class
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        builder.Services.AddClusterRpc().AddLargeMessages<TService>().AddSingleton(service);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseClusterRpcLimits();
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseClusterRpc(null));
        });
        var app = builder.Build();
        app.MapGrpcService<TService>();
        await app.StartAsync();
        return new LoopbackService(app);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
