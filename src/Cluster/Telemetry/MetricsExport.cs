using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>What one kind of process exports.</summary>
/// <param name="Process">Which one of the cluster it is.</param>
/// <param name="Meters">Names of the meters that have the table's instruments.</param>
/// <param name="Table">Without the rows of <see cref="PlatformMetrics"/>.</param>
public sealed record ExportedMetrics(ProcessIdentity Process, IReadOnlyList<string> Meters, IReadOnlyList<MetricDefinition> Table);

/// <summary>
/// Answers Prometheus, by OpenTelemetry's exporter. Only what stands in the tables is exported, and only of this host, whatever else is measured
/// in the process.
/// <para>
/// Every answer is in the text format, whatever the Accept header asks for: in OpenMetrics the same bucket has another label (<c>le="1.0"</c>
/// for <c>le="1"</c>), so that a client that asks otherwise than the last one would see other series.
/// </para>
/// </summary>
public sealed partial class MetricsExport : IHostedLifecycleService, IDisposable
{
    /// <summary>The address of the metrics, on whatever listener.</summary>
    public const string Path = "/metrics";

    const string TextFormat = "text/plain; version=0.0.4";

    /// <summary>
    /// Counting begins so long after the host's start, or when somebody first asks. Building what counts takes a processor for a tenth of a
    /// second, which those who wait for a small model to be ready would notice.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Instruments times two, with room.</summary>
    const int MostMetrics = 1000;

    readonly ExportedMetrics _exported;
    readonly IMeterFactory _meters;
    readonly ILogger _logger;
    readonly Dictionary<string, MetricDefinition> _rows;
    readonly HashSet<string> _platform = [.. PlatformMetrics.Table.Select(row => row.Name)];
    readonly ITimer _start;
    readonly Lock _lock = new();
    Exporter? _exporter;
    bool _closed;

    public MetricsExport(ExportedMetrics exported, IMeterFactory meters, TimeProvider time, ILogger<MetricsExport> logger)
    {
        (_exported, _meters, _logger) = (exported, meters, logger);
        _rows = exported.Table.Concat(PlatformMetrics.Table).ToDictionary(row => row.Name);
        _start = time.CreateTimer(_ => StartAlone(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        PlatformMetrics.Register(meters.Create(PlatformMetrics.MeterName), exported.Process.Role);
    }

    /// <summary>GET /metrics.</summary>
    public Task AnswerAsync(HttpContext http)
    {
        http.Request.Headers.Accept = TextFormat;
        if (Exporting() is { } exporter) return exporter.Answer(http);
        http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;   // the process is stopping
        return Task.CompletedTask;
    }

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _start.Change(Patience, Timeout.InfiniteTimeSpan);
        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        _start.Dispose();
        lock (_lock)
        {
            _closed = true;
            _exporter?.Provider.Dispose();
        }
    }

    /// <returns>Null once the host is gone.</returns>
    Exporter? Exporting()
    {
        lock (_lock) return _closed ? null : _exporter ??= Start();
    }

    /// <summary>A process that cannot export works nevertheless; who asks for its metrics hears of it.</summary>
    void StartAlone()
    {
        try
        {
            Exporting();
        }
        catch (Exception e)
        {
            LogNotStarted(e);
        }
    }

    Exporter Start()
    {
        var provider = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(_exported.Process.ToResource())
            .AddMeter([.. _exported.Meters, .. PlatformMetrics.Meters])
            .AddProcessInstrumentation()
            .SetMaxMetricStreams(MostMetrics)
            .AddView(OwnStream)
            .AddView(VllmStream)
            .AddPrometheusExporter(options => (options.ScopeInfoEnabled, options.ScrapeResponseCacheDurationMilliseconds) = (false, 0))
            .Build();
        // The exporter takes nothing of the host's services, which may be gone by now.
        var app = new ApplicationBuilder(NoServices.Instance);
        app.UseOpenTelemetryPrometheusScrapingEndpoint(provider, _ => true, path: null, configureBranchedPipeline: null, optionsName: null);
        return new Exporter(provider, app.Build());
    }

    /// <summary>How an instrument is exported under its own name.</summary>
    MetricStreamConfiguration OwnStream(Instrument instrument) =>
        Find(instrument) is { IsVllmOnly: false } row ? Stream(row, name: null) : MetricStreamConfiguration.Drop;

    /// <summary>How it is exported under vLLM's. Only a view may give a name with a colon; an instrument that has one is left out.</summary>
    MetricStreamConfiguration? VllmStream(Instrument instrument) => Find(instrument) is { Vllm: { } name } row ? Stream(row, name) : null;

    MetricDefinition? Find(Instrument instrument) =>
        instrument.Meter.Scope is IMeterFactory factory && factory != _meters ? null : _rows.GetValueOrDefault(instrument.Name);

    MetricStreamConfiguration Stream(MetricDefinition row, string? name)
    {
        // The platform's instruments have labels that nobody asked for.
        string[]? labels = _platform.Contains(row.Name) ? row.Labels : null;
        var stream = row.Kind == MetricKind.Histogram
            ? new ExplicitBucketHistogramConfiguration { Boundaries = [.. row.Boundaries], RecordMinMax = false }
            : new MetricStreamConfiguration();
        (stream.Name, stream.TagKeys, stream.CardinalityLimit) = (name, labels, row.MostSeries);
        return stream;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Metrics cannot be exported")]
    partial void LogNotStarted(Exception exception);

    sealed record Exporter(MeterProvider Provider, RequestDelegate Answer);

    sealed class NoServices : IServiceProvider
    {
        public static NoServices Instance { get; } = new();

        public object? GetService(Type serviceType) => null;
    }
}

/// <summary>Puts <see cref="MetricsExport"/> into a host.</summary>
public static class MetricsExportRegistration
{
    static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];

    public static IServiceCollection AddMetricsExport(this IServiceCollection services, ExportedMetrics exported) => services
        .AddMetrics()
        .AddSingleton(exported)
        .AddSingleton<MetricsExport>()
        .AddHostedService(provider => provider.GetRequiredService<MetricsExport>());

    public static IEndpointConventionBuilder MapMetrics(this IEndpointRouteBuilder routes)
        => routes.MapMethods(MetricsExport.Path, Get, routes.ServiceProvider.GetRequiredService<MetricsExport>().AnswerAsync);
}
