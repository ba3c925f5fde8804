using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>
/// The coordinator's metrics, with names and units as OpenTelemetry recommends. Counters count what has happened; nothing is estimated or
/// predicted. Safe for concurrent use, except that only a replica's own loop may call <see cref="Observe"/> with its name.
/// </summary>
public sealed class CoordinatorMetrics : IDisposable
{
    public const string MeterName = "LlamaCluster.Coordinator";

    // The instruments and tags that `bench` reads.
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
    readonly Counter<long> _spilledBlocks;
    readonly Counter<long> _restoredBlocks;
    readonly Counter<long> _views;
    readonly Histogram<double> _recovery;
    readonly Counter<double> _busy;
    readonly Histogram<double> _compute;
    readonly Histogram<double> _wait;
    readonly Histogram<double> _sync;
    readonly Counter<long> _syncSent;
    readonly Counter<long> _activationsSent;
    readonly ConcurrentDictionary<string, SchedulerReadout> _last = [];   // by replica

    public CoordinatorMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _steps = _meter.CreateCounter<long>(Steps, "{step}", "Steps that returned.");
        _rows = _meter.CreateCounter<long>("llamacluster.step.rows", "{token}", "Token positions computed, of prompts and generated ones.");
        _generated = _meter.CreateCounter<long>(GeneratedTokens, "{token}", "Tokens sampled for sequences that were still wanted.");
        _sequences = _meter.CreateCounter<long>("llamacluster.sequences", "{sequence}", "Sequences that ended, by outcome.");
        _refusals = _meter.CreateCounter<long>("llamacluster.requests.refused", "{request}", "Completion requests that were refused because the cluster was not ready, busy or too small, by error code.");
        _preemptions = _meter.CreateCounter<long>("llamacluster.preemptions", "{sequence}", "Sequences that gave up their KV blocks to others.");
        _queriedTokens = _meter.CreateCounter<long>("llamacluster.prefix_cache.queries", "{token}", "Known tokens of sequences that began and may share KV.");
        _hitTokens = _meter.CreateCounter<long>("llamacluster.prefix_cache.hits", "{token}", "Queried tokens whose KV was in the cache.");
        _draftedTokens = _meter.CreateCounter<long>("llamacluster.speculation.drafted", "{token}", "Tokens that were guessed and verified in one step with a sampled one.");
        _acceptedTokens = _meter.CreateCounter<long>("llamacluster.speculation.accepted", "{token}", "Drafted tokens that turned out right.");
        _spilledBlocks = _meter.CreateCounter<long>("llamacluster.kv.disk.blocks.spilled", "{block}", "KV blocks that the workers were told to write to disk.");
        _restoredBlocks = _meter.CreateCounter<long>("llamacluster.kv.disk.blocks.restored", "{block}", "KV blocks that all workers have read from disk.");
        _views = _meter.CreateCounter<long>("llamacluster.views", "{view}", "Plans that became ready.");
        _recovery = _meter.CreateHistogram<double>("llamacluster.recovery.duration", "s", "Time from the end of a view with open sequences until one of them got a token again.");
        _busy = _meter.CreateCounter<double>(StageBusy, "s", "Time in which a stage computed. Its rate is the share of time in which the stage is busy.");
        _compute = _meter.CreateHistogram<double>("llamacluster.stage.compute.duration", "s", "Time in which a stage computed for one step.");
        _wait = _meter.CreateHistogram<double>("llamacluster.stage.wait.duration", "s", "Time in which a stage waited for the activations of one step.");
        _sync = _meter.CreateHistogram<double>(TensorSync, "s", "Time that a rank of a stage spent in exchanges with the other ranks for one step.");
        _syncSent = _meter.CreateCounter<long>(TensorSyncSent, "By", "Payload that a rank of a stage sent to the other ranks.");
        _activationsSent = _meter.CreateCounter<long>(ActivationsSent, "By", "Activations that a rank of a stage sent to the next stage.");
        _meter.CreateObservableGauge("llamacluster.queue.length", () => Each(readout => readout.Waiting), "{sequence}", "Sequences that wait for KV blocks.");
        _meter.CreateObservableGauge("llamacluster.sequences.running", () => Each(readout => readout.Running), "{sequence}", "Sequences that hold KV blocks.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.used", () => Each(readout => readout.BlocksHeld), "{block}", "KV blocks that sequences hold.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.cached", () => Each(readout => readout.BlocksCached), "{block}", "KV blocks that no sequence holds and that keep a prefix for later requests.");
        _meter.CreateObservableGauge("llamacluster.kv.blocks.free", () => Each(readout => readout.BlocksFree), "{block}", "KV blocks that hold nothing.");
        _meter.CreateObservableGauge("llamacluster.kv.disk.blocks", () => Each(readout => readout.BlocksOnDisk), "{block}", "KV blocks that all workers of the view have on disk.");
    }

    /// <param name="rows">Token positions that the step computed.</param>
    public void StepReturned(string replica, int rows)
    {
        _steps.Add(1, Of(replica));
        _rows.Add(rows, Of(replica));
    }

    public void Generated(string replica, int tokens) => _generated.Add(tokens, Of(replica));

    /// <param name="outcome">"stop", "length", "failed", "refused" or "cancelled".</param>
    public void SequenceEnded(string replica, string outcome) => _sequences.Add(1, Of(replica), new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="code">The error code that the client received.</param>
    public void RequestRefused(string code) => _refusals.Add(1, new KeyValuePair<string, object?>("code", code));

    public void ViewReady(string replica) => _views.Add(1, Of(replica));

    public void Recovered(string replica, TimeSpan after) => _recovery.Record(after.TotalSeconds, Of(replica));

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

    /// <summary>Takes over a replica's levels, and adds what its scheduler has counted since the last call.</summary>
    /// <param name="readout">Null while no view is ready: levels are 0, and the next scheduler counts from 0.</param>
    public void Observe(string replica, SchedulerReadout? readout)
    {
        var (before, now) = (_last.GetValueOrDefault(replica), readout ?? default);
        if (before == now) return;
        _last[replica] = now;
        if (readout is null) return;
        Add(_preemptions, now.Preemptions - before.Preemptions, replica);
        Add(_queriedTokens, now.QueriedTokens - before.QueriedTokens, replica);
        Add(_hitTokens, now.HitTokens - before.HitTokens, replica);
        Add(_draftedTokens, now.DraftedTokens - before.DraftedTokens, replica);
        Add(_acceptedTokens, now.AcceptedTokens - before.AcceptedTokens, replica);
        Add(_spilledBlocks, now.BlocksSpilled - before.BlocksSpilled, replica);
        Add(_restoredBlocks, now.BlocksRestored - before.BlocksRestored, replica);
    }

    public void Dispose() => _meter.Dispose();

    static void Add(Counter<long> counter, long count, string replica)
    {
        if (count > 0) counter.Add(count, Of(replica));
    }

    static KeyValuePair<string, object?> Of(string replica) => new(ReplicaTag, replica);

    IEnumerable<Measurement<int>> Each(Func<SchedulerReadout, int> value) => _last.Select(last => new Measurement<int>(value(last.Value), Of(last.Key)));

    /// <summary>A worker may report any number, and one above long.MaxValue would count backwards.</summary>
    static long Bytes(ulong reported) => (long)Math.Min(reported, long.MaxValue);
}

/// <summary>A scheduler's state: how much there is of everything now, and what it has counted since it began.</summary>
public readonly record struct SchedulerReadout
{
    public int Waiting { get; init; }
    public int Running { get; init; }
    public int BlocksHeld { get; init; }
    public int BlocksCached { get; init; }
    public int BlocksFree { get; init; }
    public long Preemptions { get; init; }
    public long QueriedTokens { get; init; }
    public long HitTokens { get; init; }
    public long DraftedTokens { get; init; }
    public long AcceptedTokens { get; init; }
    public int BlocksOnDisk { get; init; }
    public long BlocksSpilled { get; init; }
    public long BlocksRestored { get; init; }
}
