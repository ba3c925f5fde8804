using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>Whether this process can take part in generation now. The health service asks it; see <see cref="ClusterHealth"/>.</summary>
public sealed class Readiness : IHealthCheck
{
    readonly Latest<bool?> _ready = new(false);

    public bool IsReady => _ready.Value is true;

    public void Set(bool ready) => _ready.Update(now => now is null ? null : ready);

    /// <summary>The process is stopping. It is not ready and will not be again.</summary>
    public void Close() => _ready.Update(_ => null);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(IsReady ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy());
}

/// <summary>
/// The standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) of both hosts. It knows two names:
/// "" serves as soon as the process answers, "llamacluster.ready" follows <see cref="Readiness"/>.
/// </summary>
public static class ClusterHealth
{
    public const string Process = "";
    public const string Ready = "llamacluster.ready";

    /// <summary>How often those who watch are told. It is the least that the library allows. Whoever asks with Check is told at once.</summary>
    static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    /// <summary>Adds <see cref="Readiness"/>, and the health service that follows it.</summary>
    internal static IServiceCollection AddClusterHealth(this IServiceCollection services)
    {
        services.TryAddSingleton<Readiness>();
        services.Configure<HealthCheckPublisherOptions>(options => (options.Delay, options.Period) = (TimeSpan.Zero, WatchInterval));
        // "Not ready" is a state, but the library reports it as an error, once an interval.
        services.AddLogging(logging => logging.AddFilter(typeof(HealthCheckService).Namespace, LogLevel.None));
        services.AddGrpcHealthChecks(options =>
        {
            options.UseHealthChecksCache = false;
            options.Services.Clear();
            options.Services.Map(Process, check => check.Name == nameof(Process));
            options.Services.Map(Ready, check => check.Name == nameof(Ready));
        })
            .AddCheck(nameof(Process), () => HealthCheckResult.Healthy())
            .Add(new HealthCheckRegistration(nameof(Ready), provider => provider.GetRequiredService<Readiness>(), failureStatus: null, tags: null));
        return services;
    }
}
