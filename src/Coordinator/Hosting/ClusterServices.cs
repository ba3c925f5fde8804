using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Sharing;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// What it takes to bring a model up on workers and to keep it up. The model that is served and a draft model have it each for itself, and differ in who
/// runs sequences on the pipelines.
/// </summary>
static class ClusterServices
{
    public static IServiceCollection AddCluster(this IServiceCollection services, CoordinatorOptions options)
    {
        if (options.Tls is { } files) services.AddSingleton(provider => ClusterTls.Load(files).LogTo(provider.GetRequiredService<ILogger<ClusterTls>>()));
        if (options.JoinTokenFile is { } token) services.AddSingleton(_ => JoinToken.Load(token));
        return services.AddMetrics().AddClusterRpc(options.GrpcReflection).AddLargeMessages<WeightsService>().AddListenSockets()
            .AddValidated(options)
            .AddSingleton(provider => OpenedModel.Open(provider.GetRequiredService<CoordinatorOptions>(), provider.GetRequiredService<ILogger<HashRecord>>()))
            .AddSingleton(provider => ModelOf(provider).Identity)
            .AddSingleton(provider => ModelOf(provider).Weights)
            .AddSingleton(provider => ModelOf(provider).Adapters)
            .AddSingleton(provider => ModelOf(provider).ToSupervisorOptions(options))
            .AddSingleton(new Latest<ClusterStatus>(ClusterStatus.Starting))
            .AddSingleton<PeerChannels>()
            .AddSingleton<IPeerConnector>(provider => provider.GetRequiredService<PeerChannels>())
            .AddSingleton<CoordinatorMetrics>()
            .AddSingleton<ViewLog>()
            .AddSingleton<Pulse>()
            .AddSingleton<WorkerRegistry>()
            .AddSingleton<RegisteredWorkers>()
            .AddSingleton(new SharingLimits())
            .AddSingleton<PartSharing>()
            .AddSingleton<IWorkerConfirmation, WorkerConfirmation>()
            .AddSingleton<LinkMeter>()
            .AddSingleton<AssignmentCaller>()
            .AddSingleton<ViewAdapters>()
            .AddSingleton<IViewStages, ViewStages>();
    }

    /// <summary>The draft model, where there is one.</summary>
    public static IServiceCollection AddDrafts(this IServiceCollection services, CoordinatorOptions options)
    {
        if (options.Draft is not { } draft) return services;
        return services
            .AddSingleton(provider => DraftHost.Create(
                options, draft, ModelOf(provider), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<DraftHost>>()))
            .AddSingleton(provider => provider.GetRequiredService<DraftHost>().Drafts)
            .AddSingleton<IDraftOverview>(provider => provider.GetRequiredService<DraftHost>())
            .AddHostedService(provider => provider.GetRequiredService<DraftHost>());
    }

    /// <param name="rpc">The services that workers call.</param>
    public static void MapCluster(this IEndpointRouteBuilder rpc, CoordinatorOptions options)
    {
        rpc.MapGrpcService<MembershipService>();
        rpc.MapGrpcService<WeightsService>();
        rpc.MapClusterRpc(options.GrpcReflection);
    }

    static OpenedModel ModelOf(IServiceProvider provider) => provider.GetRequiredService<OpenedModel>();
}
