using System.Security.Cryptography.X509Certificates;
using Grpc.AspNetCore.Server;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Compat.Tests;

/// <summary>The echo service on a real Kestrel, on a free loopback port.</summary>
sealed class EchoServer : IAsyncDisposable
{
    readonly WebApplication _app;

    EchoServer(WebApplication app) => _app = app;

    public string Address => _app.Urls.First();

    public EchoSignals Signals => _app.Services.GetRequiredService<EchoSignals>();

    public static Task<EchoServer> StartAsync(Action<GrpcServiceOptions>? configure = null) => StartAsync(configure, static _ => { });

    /// <summary>With TLS; a client must show a certificate that the authority issued.</summary>
    public static Task<EchoServer> StartWithClientCertificatesAsync(TestAuthority authority) => StartAsync(null, listen => listen.UseHttps(https =>
    {
        https.ServerCertificate = authority.Issue("localhost");
        https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
        https.ClientCertificateValidation = (certificate, _, _) => authority.Issued(certificate);
    }));

    public GrpcChannel Channel(Action<GrpcChannelOptions>? configure = null)
    {
        var options = new GrpcChannelOptions();
        configure?.Invoke(options);
        return GrpcChannel.ForAddress(Address, options);
    }

    public static SocketsHttpHandler TlsHandler(TestAuthority authority, X509Certificate2? clientCertificate)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is X509Certificate2 shown && authority.Issued(shown);
        if (clientCertificate is not null) handler.SslOptions.ClientCertificates = [clientCertificate];
        return handler;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    static async Task<EchoServer> StartAsync(Action<GrpcServiceOptions>? configure, Action<ListenOptions> secure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            secure(listen);
        }));
        builder.Services.AddSingleton<EchoSignals>();
        builder.Services.AddGrpc(options => configure?.Invoke(options));
        var app = builder.Build();
        app.MapGrpcService<EchoService>();
        await app.StartAsync();
        return new EchoServer(app);
    }
}
