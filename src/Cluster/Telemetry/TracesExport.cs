using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>
/// Sends spans to an OTLP receiver, if the usual variables name one: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. What the
/// other variables say of protocol, headers, sampling and batches counts as everywhere. Without an endpoint nothing is built and nothing is traced.
/// </summary>
public sealed class TracesExport(ProcessIdentity process) : IHostedService, IDisposable
{
    /// <summary>What was recorded last has so long to get out when the process stops.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    static readonly string[] Quiet = [MetricsExport.Path, "/health", "/v1/health", "/ready"];

    TracerProvider? _provider;

    /// <summary>Whether the variables of this process name a receiver.</summary>
    public static bool IsWanted =>
        (Variable("OTEL_EXPORTER_OTLP_ENDPOINT") is not null || Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") is not null)
        && Variable("OTEL_TRACES_EXPORTER") is null or "otlp"
        && !string.Equals(Variable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase);

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _provider = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(process.ToResource())
            .AddSource(Spans.AnySource)
            .AddAspNetCoreInstrumentation(options => options.Filter = IsClientRequest)
            .AddOtlpExporter()
            .Build();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _provider?.Shutdown((int)Patience.TotalMilliseconds);
        return Task.CompletedTask;
    }

    public void Dispose() => _provider?.Dispose();

    /// <summary>Calls of the cluster's processes to each other are HTTP/2, and last as long as a view.</summary>
    static bool IsClientRequest(HttpContext http) => HttpProtocol.IsHttp11(http.Request.Protocol) && !Quiet.Contains(http.Request.Path.Value);

    static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}

/// <summary>Puts <see cref="TracesExport"/> into a host, where the variables ask for it.</summary>
public static class TracesExportRegistration
{
    public static IServiceCollection AddTracesExport(this IServiceCollection services, ProcessIdentity process) =>
        TracesExport.IsWanted ? services.AddHostedService(_ => new TracesExport(process)) : services;
}
