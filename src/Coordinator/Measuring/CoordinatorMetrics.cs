using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>What the coordinator counts. Names and units as OpenTelemetry wants them; every number is of something that happened.</summary>
public sealed class CoordinatorMetrics : IDisposable
{
    public const string MeterName = "LlamaCluster.Coordinator";

    // Names that others read these numbers by.
    public const string Steps = "llamacluster.steps";
    public const string GeneratedTokens = "llamacluster.tokens.generated";
    public const string StageBusy = "llamacluster.stage.busy";
    public const string StageTag = "stage";
    public const string RankTag = "rank";
    public const string ReplicaTag = "replica";
    public const string TensorSync = "llamacluster.stage.tensor_sync";
    public const string TensorSyncSent = "llamacluster.stage.tensor_sync.sent";
    public const string ActivationsSent = "llamacluster.stage.activations.sent";

    const double Microsecond = 1e-6;

    readonly Meter _meter;
    readonly Counter<long> _steps;
    readonly Counter<long> _rows;
    readonly Counter<long> _generated;
    readonly Counter<long> _sequences;
    readonly Counter<long> _refusals;
    readonly Counter<long> _preemptions;
    readonly Counter<long> _queriedTokens;
    readonly Counter<long> _hitTokens;
    readonly Counter<long> _draftedTokens;
    readonly Counter<long> _acceptedTokens;
    readonly Counter<long> _views;
    readonly Counter<double> _busy;
    readonly Histogram<double> _compute;
    readonly Histogram<double> _wait;
    readonly Histogram<double> _sync;
    readonly Counter<long> _syncSent;
    readonly Counter<long> _activationsSent;
    readonly ConcurrentDictionary<string, Levels> _levels = [];   // of each replica
    readonly ConcurrentDictionary<string, Counts> _counted = [];   // of each replica's present view

    public CoordinatorMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _steps = _meter.CreateCounter<long>(Steps, "{step}", "Steps that returned.");
        _rows = _meter.CreateCounter<long>("llamacluster.step.rows", "{token}", "Token positions computed, of prompts and generated ones.");
        _generated = _meter.CreateCounter<long>(GeneratedTokens, "{token}", "Tokens sampled for sequences that were still wanted.");
        _sequences = _meter.CreateCounter<long>("llamacluster.sequences", "{sequence}", "Sequences that ended, by outcome.");
        _refusals = _meter.CreateCounter<long>("llamacluster.requests.refused", "{request}", "Completion requests that were not taken on, because the cluster was not ready, busy or too small, by error code.");
        _preemptions = _meter.CreateCounter<long>("llamacluster.preemptions", "{sequence}", "Sequences that gave up their KV blocks to others.");
        _queriedTokens = _meter.CreateCounter<long>("llamacluster.prefix_cache.queries", "{token}", "Known tokens of sequences that began and may share KV.");
        _hitTokens = _meter.CreateCounter<long>("llamacluster.prefix_cache.hits", "{token}", "Of these, tokens whose KV was there already.");
        _draftedTokens = _meter.CreateCounter<long>("llamacluster.speculation.drafted", "{token}", "Tokens that were guessed, to be verified beside a sampled one.");
        _acceptedTokens = _meter.CreateCounter<long>("llamacluster.speculation.accepted", "{token}", "Of these, tokens that turned out right.");
        _views = _meter.CreateCounter<long>("llamacluster.views", "{view}", "Plans that became ready.");
        _busy = _meter.CreateCounter<double>(StageBusy, "s", "Time in which a stage computed: its rate is the share of the time in which it is busy.");
        _compute = _meter.CreateHistogram<double>("llamacluster.stage.compute.duration", "s", "What a stage computed for one step.");
        _wait = _meter.CreateHistogram<double>("llamacluster.stage.wait.duration", "s", "What a stage waited for activations of one step.");
        _sync = _meter.CreateHistogram<double>(TensorSync, "s", "What a rank of a stage spent in exchanges with the others for one step.");
        _syncSent = _meter.CreateCounter<long>(TensorSyncSent, "By", "Payload that a rank of a stage sent to the others.");
        _activationsSent = _meter.CreateCounter<long>(ActivationsSent, "By", "Payload of activations that a rank of a stage sent to the next stage.");
        _meter.CreateObservableGauge("llamacluster.queue.length", () => Each(levels => levels.Waiting), "{sequence}", "Sequences that wait for KV blocks.");
        _meter.CreateObservableGauge("llamacluster.sequences.running", () => Each(levels => levels.Running), "{sequence}", "Sequences that hold KV blocks.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.used", () => Each(levels => levels.BlocksHeld), "{block}", "KV blocks that sequences hold.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.cached", () => Each(levels => levels.BlocksCached), "{block}", "KV blocks that no sequence holds but that a prefix can be found in.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.free", () => Each(levels => levels.BlocksFree), "{block}", "KV blocks that hold nothing.");
    }

    public void StepReturned(string replica, ScheduledStep step)
    {
        _steps.Add(1, Of(replica));
        _rows.Add(step.Rows, Of(replica));
    }

    public void Generated(string replica, int tokens) => _generated.Add(tokens, Of(replica));

    /// <param name="outcome">stop, length, failed, refused or cancelled.</param>
    public void SequenceEnded(string replica, string outcome) => _sequences.Add(1, Of(replica), new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="code">The error's: what the client was told.</param>
    public void RequestRefused(string code) => _refusals.Add(1, new KeyValuePair<string, object?>("code", code));

    public void ViewReady(string replica) => _views.Add(1, Of(replica));

    public void StageRan(string replica, int stage, int rank, StepTimings timings)
    {
        var tags = new TagList { { ReplicaTag, replica }, { StageTag, stage }, { RankTag, rank } };
        _busy.Add(timings.ComputeMicroseconds * Microsecond, tags);
        _compute.Record(timings.ComputeMicroseconds * Microsecond, tags);
        _wait.Record(timings.WaitMicroseconds * Microsecond, tags);
        if (timings.SyncMicroseconds > 0) _sync.Record(timings.SyncMicroseconds * Microsecond, tags);
        if (timings.SyncBytes > 0) _syncSent.Add(Bytes(timings.SyncBytes), tags);
        if (timings.ActivationBytes > 0) _activationsSent.Add(Bytes(timings.ActivationBytes), tags);
    }

    /// <param name="scheduler">Null while no view is ready.</param>
    public void Observe(string replica, StepScheduler? scheduler)
    {
        if (scheduler is null)
        {
            (_levels[replica], _counted[replica]) = (Levels.None, default);
            return;
        }
        var pool = scheduler.Pool;
        _levels[replica] = new Levels(scheduler.WaitingCount, scheduler.RunningCount, pool.Held, pool.Cached, pool.Free);
        var now = new Counts(scheduler.Preemptions, scheduler.QueriedTokens, scheduler.HitTokens, scheduler.DraftedTokens, scheduler.AcceptedTokens);
        var before = _counted.GetValueOrDefault(replica);
        if (now == before) return;
        _preemptions.Add(now.Preemptions - before.Preemptions, Of(replica));
        _queriedTokens.Add(now.Queried - before.Queried, Of(replica));
        _hitTokens.Add(now.Hit - before.Hit, Of(replica));
        _draftedTokens.Add(now.Drafted - before.Drafted, Of(replica));
        _acceptedTokens.Add(now.Accepted - before.Accepted, Of(replica));
        _counted[replica] = now;
    }

    public void Dispose() => _meter.Dispose();

    static KeyValuePair<string, object?> Of(string replica) => new(ReplicaTag, replica);

    IEnumerable<Measurement<int>> Each(Func<Levels, int> value) => _levels.Select(levels => new Measurement<int>(value(levels.Value), Of(levels.Key)));

    /// <summary>A worker may say anything; what counts down is no counter.</summary>
    static long Bytes(ulong said) => (long)Math.Min(said, long.MaxValue);

    readonly record struct Counts(long Preemptions, long Queried, long Hit, long Drafted, long Accepted);

    sealed record Levels(int Waiting, int Running, int BlocksHeld, int BlocksCached, int BlocksFree)
    {
        public static Levels None { get; } = new(0, 0, 0, 0, 0);
    }
}
