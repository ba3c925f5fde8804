using System.Diagnostics;
using LlamaCluster.Cluster.Telemetry;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// A sequence's part of its request's trace: the spans queue, prefill and decode, which follow each other without a gap. Each is recorded when it
/// is over.
/// </summary>
sealed class SequenceTrace
{
    const string Queue = "queue";
    const string Prefill = "prefill";
    const string Decode = "decode";

    readonly ActivityContext _request;
    readonly ulong _sequence;
    readonly TimeProvider _time;
    string _phase = Queue;
    long _since;

    SequenceTrace(ActivityContext request, ulong sequence, TimeProvider time, long submitted) =>
        (_request, _sequence, _time, _since) = (request, sequence, time, submitted);

    /// <param name="traceParent">Of the request.</param>
    /// <param name="submitted">A timestamp, as are the others.</param>
    /// <returns>Null where the request is not traced.</returns>
    public static SequenceTrace? Of(string traceParent, ulong sequence, TimeProvider time, long submitted) =>
        Spans.Coordinator.HasListeners() && Spans.TryContinue(traceParent, isRemote: false, out var request)
            ? new SequenceTrace(request, sequence, time, submitted)
            : null;

    public void Begin(long now) => Close(now, next: Prefill);

    public void FirstToken(long now) => Close(now, next: Decode);

    /// <param name="outcome">In the words of metrics.</param>
    public void End(string outcome, long now) => Close(now, next: "", outcome);

    void Close(long now, string next, string? outcome = null)
    {
        using var span = Spans.Coordinator.Record(_phase, _request, At(_since), At(now));
        span?.SetTag("llamacluster.sequence", _sequence).SetTag("llamacluster.outcome", outcome);
        if (outcome is "failed" or "refused") span?.SetStatus(ActivityStatusCode.Error, outcome);
        (_phase, _since) = (next, now);
    }

    DateTimeOffset At(long timestamp) => _time.GetUtcNow() - _time.GetElapsedTime(timestamp);
}
