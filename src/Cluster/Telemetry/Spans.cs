using System.Diagnostics;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>Where the cluster's spans come from. Without anybody who listens they cost a look at a field.</summary>
public static class Spans
{
    /// <summary>For listeners: the names of all sources.</summary>
    public const string AnySource = "LlamaCluster.*";

    public static ActivitySource Coordinator { get; } = new("LlamaCluster.Coordinator");

    public static ActivitySource Worker { get; } = new("LlamaCluster.Worker");

    /// <summary>Whether work below a W3C traceparent is to be recorded, and below what.</summary>
    /// <param name="traceParent">"": none. One that cannot be read is none: it is no reason not to serve.</param>
    public static bool TryContinue(string traceParent, bool isRemote, out ActivityContext parent)
    {
        parent = default;
        return traceParent.Length > 0
            && ActivityContext.TryParse(traceParent, traceState: null, isRemote, out parent)
            && parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded);
    }

    /// <summary>Records something that is over.</summary>
    /// <returns>The span, for further attributes and to be the parent of others until it is disposed of; null: nobody wants it.</returns>
    public static Activity? Record(this ActivitySource source, string name, ActivityContext parent, DateTimeOffset begun, DateTimeOffset ended)
    {
        var span = source.StartActivity(name, ActivityKind.Internal, parent, startTime: begun);
        span?.SetEndTime(ended > begun ? ended.UtcDateTime : begun.UtcDateTime);
        return span;
    }
}
