using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Tests.Rpc;

/// <summary>A process with the health service and a membership service that fails as it is told to, on a free port of loopback.</summary>
public sealed class RpcFixture : IAsyncLifetime
{
    WebApplication _app = null!;

    public Readiness Readiness { get; } = new();

    public GrpcChannel Channel { get; private set; } = null!;

    public Membership.MembershipClient Failing => new(Channel);

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(Readiness).AddClusterRpc(reflection: true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.UseClusterRpcLimits();
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        _app = builder.Build();
        _app.MapClusterRpc(reflection: true);
        _app.MapGrpcService<FailingService>();
        await _app.StartAsync();
        var address = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        Channel = new PeerChannels().Open(new Uri(address));
    }

    public Task StopAsync() => _app.StopAsync();

    public async Task DisposeAsync()
    {
        Readiness.Close();
        Channel.Dispose();
        await _app.DisposeAsync();
    }

    sealed class FailingService : Membership.MembershipBase
    {
        public override Task<RegisterReply> Register(RegisterRequest request, ServerCallContext context) => throw (request.Name switch
        {
            "invalid" => new InvalidMessageException("name is invalid"),
            "bug" => new InvalidOperationException("secret detail"),
            "ended early" => new RpcException(Status.DefaultSuccess),
            _ => new RpcException(new Status(StatusCode.ResourceExhausted, "full")),
        });
    }
}
