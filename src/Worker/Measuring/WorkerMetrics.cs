using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Protos;
using static LlamaCluster.Protos.StepFailed.Types;

namespace LlamaCluster.Worker.Measuring;

/// <summary>
/// What a worker counts of its steps; <see cref="WorkerMetricTable"/> says what each number means. Nothing is allocated for a step.
/// </summary>
public sealed class WorkerMetrics : IDisposable
{
    public const string MeterName = "LlamaCluster.Worker";

    const double Microsecond = 1e-6;

    static readonly (Reason Reason, string Name)[] Reasons =
        [(Reason.StaleView, "stale_view"), (Reason.BadStep, "bad_step"), (Reason.PeerLost, "peer_lost"), (Reason.Internal, "internal")];

    readonly Meter _meter;
    readonly Total _steps;
    readonly Total _rows;
    readonly Dictionary<Reason, Total> _failures;
    readonly Histogram<double> _compute;
    readonly Histogram<double> _wait;
    readonly Histogram<double> _sync;
    readonly Histogram<double> _send;
    readonly Total _activationsSent;
    readonly Total _syncSent;
    readonly Total _journalWritten;
    readonly Dictionary<WeightsOrigin, Total> _weightsObtained;
    readonly Total _weightsGiven;

    public WorkerMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _steps = new TotalCounter(_meter, WorkerMetricTable.Steps).Of();
        _rows = new TotalCounter(_meter, WorkerMetricTable.Rows).Of();
        var failures = new TotalCounter(_meter, WorkerMetricTable.Failures);
        _failures = Reasons.ToDictionary(reason => reason.Reason, reason => failures.Of(new KeyValuePair<string, object?>("reason", reason.Name)));
        _compute = _meter.Histogram<double>(WorkerMetricTable.Compute);
        _wait = _meter.Histogram<double>(WorkerMetricTable.Wait);
        _sync = _meter.Histogram<double>(WorkerMetricTable.Sync);
        _send = _meter.Histogram<double>(WorkerMetricTable.Send);
        _activationsSent = new TotalCounter(_meter, WorkerMetricTable.ActivationsSent).Of();
        _syncSent = new TotalCounter(_meter, WorkerMetricTable.SyncSent).Of();
        _journalWritten = new TotalCounter(_meter, WorkerMetricTable.JournalWritten).Of();
        var obtained = new TotalCounter(_meter, WorkerMetricTable.WeightsObtained);
        _weightsObtained = Enum.GetValues<WeightsOrigin>().ToDictionary(
            origin => origin, origin => obtained.Of(new KeyValuePair<string, object?>("source", origin.ToString().ToLowerInvariant())));
        _weightsGiven = new TotalCounter(_meter, WorkerMetricTable.WeightsGiven).Of();
    }

    /// <param name="timings">As the coordinator gets them.</param>
    /// <param name="sending">Handing the output to the streams to the next stage; zero on the last stage.</param>
    internal void StepRan(StepTimings timings, TimeSpan sending)
    {
        _steps.Add(1);
        _rows.Add(timings.Rows);
        _compute.Record(timings.ComputeMicroseconds * Microsecond);
        _wait.Record(timings.WaitMicroseconds * Microsecond);
        if (timings.SyncMicroseconds > 0) _sync.Record(timings.SyncMicroseconds * Microsecond);
        if (sending > TimeSpan.Zero) _send.Record(sending.TotalSeconds);
        _activationsSent.Add((long)timings.ActivationBytes);
        _syncSent.Add((long)timings.SyncBytes);
    }

    internal void JournalWritten(long bytes) => _journalWritten.Add(bytes);

    internal void WeightsObtained(WeightsOrigin origin, long bytes) => _weightsObtained[origin].Add(bytes);

    internal void WeightsGiven(long bytes) => _weightsGiven.Add(bytes);

    internal void StepFailed(Reason reason) => _failures[reason].Add(1);

    public void Dispose() => _meter.Dispose();
}

/// <summary>Where parts of weights came from.</summary>
enum WeightsOrigin
{
    Peer,
    Hub,
    Coordinator,
    Cache,
}
