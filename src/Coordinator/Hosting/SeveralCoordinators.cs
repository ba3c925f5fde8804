using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// What a coordinator needs to be one of several, which it is where it shares a store (--state). Nothing of it is there for one that is alone.
/// </summary>
static class SeveralCoordinators
{
    const string OnlyReplica = "replica-0";

    public static bool AreMeant(CoordinatorOptions options) => options.Sessions.State is not null;

    /// <summary>The name of the replica that the coordinator owns.</summary>
    public static string NameOf(CoordinatorOptions options, ClusterOwnership kept)
        => options.ReplicaName ?? (AreMeant(options) ? $"replica-{kept.ClusterId[..8]}" : OnlyReplica);

    /// <summary>The engine, and who may call this process; for a coordinator alone or for one of several.</summary>
    public static IServiceCollection AddReplicas(this IServiceCollection services, CoordinatorOptions options)
    {
        services
            .AddSingleton(provider => Settled(provider, options))
            .AddSingleton(provider => ActivatorUtilities.CreateInstance<Replica>(provider, NameOf(options, provider.GetRequiredService<ClusterOwnership>())))
            .AddSingleton<IPipelineUser>(provider => provider.GetRequiredService<Replica>())
            .AddSingleton<PrefixNews>()
            .AddSingleton<OwnReplica>();
        if (!AreMeant(options))
            return services
                .AddSingleton<ICallerKeys>(provider => provider.GetRequiredService<RegisteredWorkers>())
                .AddSingleton<IReplicaOverview, OneReplica>()
                .AddSingleton<IGenerationEngine, ReplicaRouter>();
        return services
            .AddLargeMessages<ReplicasService>()
            .AddSingleton(SiloOf)
            .AddSingleton<ClusterDirectory>()
            .AddSingleton<PeerState>()
            .AddSingleton<PeerKeys>()
            .AddSingleton<ICallerKeys>(provider => provider.GetRequiredService<PeerKeys>())
            .AddSingleton<KnownPrefixes>()
            .AddSingleton<OtherReplicas>()
            .AddSingleton<IOtherReplicas>(provider => provider.GetRequiredService<OtherReplicas>())
            .AddSingleton(AddressesOf)
            .AddSingleton<IReplicaOverview, ReplicaOverview>()
            .AddSingleton<IGenerationEngine, ClusterRouter>()
            .AddHostedService<PeerMembership>();
    }

    /// <param name="rpc">The services that other processes of the cluster call.</param>
    public static void MapReplicas(this IEndpointRouteBuilder rpc, CoordinatorOptions options)
    {
        if (AreMeant(options)) rpc.MapGrpcService<ReplicasService>();
    }

    static SettledOwnership Settled(IServiceProvider provider, CoordinatorOptions options)
    {
        var registry = provider.GetRequiredService<WorkerRegistry>();
        return AreMeant(options) ? new SettledOwnership(registry) : SettledOwnership.Now(registry, provider.GetRequiredService<ClusterOwnership>());
    }

    static SiloOwner SiloOf(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<CoordinatorOptions>();
        var place = options.Sessions.PlaceIn("");
        return new SiloOwner(place, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>())
        {
            Dashboard = options.Sessions.OrleansDashboard,
            Tls = provider.GetService<ClusterTls>() is { } tls ? new SiloTls(tls.ForPeer, tls.IsPeer) : null,
            Address = cancellation => AnnouncedAddress.HostOfAsync(ListenAddress.Parse(options.GrpcListen), ServerOf(place), cancellation),
        };
    }

    static PeerAddresses AddressesOf(IServiceProvider provider)
    {
        var (options, listeners) = (provider.GetRequiredService<CoordinatorOptions>(), provider.GetRequiredService<Listeners>());
        var store = ServerOf(options.Sessions.PlaceIn(""));
        Task<Uri> Announce(Uri bound, CancellationToken cancellation) => AnnouncedAddress.OfAsync(ListenAddress.Parse(bound.ToString()), store, cancellation);
        return new PeerAddresses(cancellation => Announce(listeners.RpcAddress, cancellation), cancellation => Announce(listeners.ApiAddress, cancellation));
    }

    static Uri ServerOf(StatePlace place) => ((StatePlace.Redis)place).Server;
}
