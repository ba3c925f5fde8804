using System.Diagnostics.Metrics;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>
/// What every process of the cluster exports beside its own metrics: what it is, and what .NET and ASP.NET Core measure of it. The latter make
/// their own instruments; the rows here say which of them are exported, with which labels and boundaries. Others are left out.
/// </summary>
public static class PlatformMetrics
{
    public const string MeterName = "LlamaCluster";

    static readonly MetricDefinition Build = new(
        "llamacluster.build.info", MetricKind.Gauge, "",
        "1; the labels say which version this is, and what the process does: coordinator or worker.", "version", "role");

    public static IReadOnlyList<MetricDefinition> Table { get; } =
    [
        Build,
        new("http.server.request.duration", MetricKind.Histogram, "s", "HTTP requests and gRPC calls that were answered; a stream ends with its last byte.",
            "http.request.method", "http.route", "http.response.status_code") { Boundaries = MetricBoundaries.Waits, MostSeries = SeriesLimits.Requests },
        new("http.server.active_requests", MetricKind.Gauge, "{request}", "HTTP requests and gRPC calls that are being answered.", "http.request.method"),
        new("process.cpu.time", MetricKind.Counter, "s", "Processor time of the process, by state: user or system.", "cpu.mode"),
        new("process.memory.usage", MetricKind.Gauge, "By", "Resident memory of the process."),
        new("process.memory.virtual", MetricKind.Gauge, "By", "Virtual memory of the process."),
        new("process.thread.count", MetricKind.Gauge, "{thread}", "Threads of the process."),
        new("process.unix.file_descriptor.count", MetricKind.Gauge, "{file_descriptor}", "Open files, sockets among them."),
        new("process.uptime", MetricKind.Gauge, "s", "Time since the process started."),
        new("dotnet.gc.collections", MetricKind.Counter, "{collection}", "Garbage collections, by generation.", "gc.heap.generation"),
        new("dotnet.gc.heap.total_allocated", MetricKind.Counter, "By", "Managed memory that was ever allocated. Weights and KV are not managed."),
        new("dotnet.gc.last_collection.heap.size", MetricKind.Gauge, "By", "Managed heap after the last collection, by generation.", "gc.heap.generation"),
        new("dotnet.gc.last_collection.memory.committed_size", MetricKind.Gauge, "By", "Managed memory that was committed at the last collection."),
        new("dotnet.gc.pause.time", MetricKind.Counter, "s", "Time in which garbage collections held up all threads."),
        new("dotnet.thread_pool.work_item.count", MetricKind.Counter, "{work_item}", "Work that threads of the pool have done."),
        new("dotnet.monitor.lock_contentions", MetricKind.Counter, "{contention}", "Times that a thread had to wait for a lock."),
        new("dotnet.exceptions", MetricKind.Counter, "{exception}", "Exceptions that were thrown, by type.", "error.type"),
        new("dotnet.jit.compilation.time", MetricKind.Counter, "s", "Time that was spent on compiling code."),
    ];

    /// <summary>The meters of the rows that are not ours.</summary>
    public static IReadOnlyList<string> Meters { get; } =
        [MeterName, "Microsoft.AspNetCore.Hosting", "System.Runtime", "OpenTelemetry.Instrumentation.Process"];

    /// <param name="role">"coordinator" or "worker".</param>
    public static void Register(Meter meter, string role) => meter.Gauge<int>(Build, () =>
        [new Measurement<int>(1, new("version", typeof(PlatformMetrics).Assembly.GetName().Version?.ToString(3)), new("role", role))]);
}
