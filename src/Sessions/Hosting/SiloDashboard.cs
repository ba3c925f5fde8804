using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans.Dashboard;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>
/// Orleans' own dashboard: the grains, their calls and the silos, for who works on this machine. It asks for no key, so no other machine reaches it.
/// </summary>
static class SiloDashboard
{
    /// <param name="builder">Of a silo.</param>
    /// <param name="port">Of this machine; 0: any.</param>
    public static WebApplication Build(WebApplicationBuilder builder, int port)
    {
        builder.UseOrleans(silo => silo.AddDashboard());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        builder.Services.AddRouting();
        var app = builder.Build();
        // A page of another name would be read by its owner.
        app.Use((http, next) => http.Request.Host.Host is "127.0.0.1" or "localhost" ? next(http) : RefuseAsync(http));
        app.UseRouting();
        app.MapOrleansDashboard();
        return app;
    }

    /// <summary>With the port that was taken. Known once the silo has started.</summary>
    public static Uri AddressOf(WebApplication app)
        => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    static Task RefuseAsync(HttpContext http)
    {
        http.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }
}
