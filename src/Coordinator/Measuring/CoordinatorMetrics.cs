using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>
/// What the coordinator counts, with names and units as OpenTelemetry recommends; <see cref="CoordinatorMetricTable"/> says what each means.
/// Nothing is estimated or predicted, and nothing is allocated for a step or a token. Safe for concurrent use, except that only a replica's own
/// loop may call <see cref="Observe"/> with its name.
/// </summary>
public sealed class CoordinatorMetrics : IDisposable
{
    public const string MeterName = "LlamaCluster.Coordinator";

    readonly Meter _meter;
    readonly string _model;
    readonly ReplicaCounters _counters;
    readonly TotalCounter _refusals;
    readonly TotalCounter _finished;
    readonly Total _weightsSent;
    readonly Histogram<int> _stepSize;
    readonly Histogram<double> _stepDuration;
    readonly Histogram<double> _encode;
    readonly Histogram<double> _recovery;
    readonly Histogram<double> _filter;
    readonly ConcurrentDictionary<string, SchedulerReadout> _last = [];   // by replica, as are the totals
    readonly ConcurrentDictionary<string, ReplicaTotals> _totals = [];

    /// <param name="model">What is served; null: nothing yet.</param>
    /// <param name="time">Null: the system's.</param>
    public CoordinatorMetrics(IMeterFactory meters, ModelIdentity? model = null, TimeProvider? time = null)
    {
        (_meter, _model) = (meters.Create(MeterName), model?.Name ?? "");
        _counters = new ReplicaCounters(_meter, time ?? TimeProvider.System);
        _refusals = new TotalCounter(_meter, CoordinatorMetricTable.Refusals);
        _finished = new TotalCounter(_meter, CoordinatorMetricTable.FinishedChoices);
        _weightsSent = new TotalCounter(_meter, CoordinatorMetricTable.WeightsSent).Of(OfModel);
        _stepSize = _meter.Histogram<int>(CoordinatorMetricTable.StepSize);
        _stepDuration = _meter.Histogram<double>(CoordinatorMetricTable.StepDuration);
        _encode = _meter.Histogram<double>(CoordinatorMetricTable.EncodeDuration);
        _recovery = _meter.Histogram<double>(CoordinatorMetricTable.RecoveryDuration);
        _filter = _meter.Histogram<double>(CoordinatorMetricTable.FilterDuration);
        Observe(CoordinatorMetricTable.Waiting, readout => readout.Waiting);
        Observe(CoordinatorMetricTable.Running, readout => readout.Running);
        Observe(CoordinatorMetricTable.BlocksUsed, readout => readout.BlocksHeld);
        Observe(CoordinatorMetricTable.BlocksCached, readout => readout.BlocksCached);
        Observe(CoordinatorMetricTable.BlocksFree, readout => readout.BlocksFree);
        Observe(CoordinatorMetricTable.KvUsage, readout => readout.Blocks == 0 ? 0 : (double)readout.BlocksHeld / readout.Blocks);
        Observe(CoordinatorMetricTable.Sessions, readout => readout.Sessions);
        Observe(CoordinatorMetricTable.BlocksOnDisk, readout => readout.BlocksOnDisk);
        Observe(CoordinatorMetricTable.BlocksRestoring, readout => readout.BlocksRestoring);
        Stages = new StageMetrics(_meter);
        Sequences = new SequenceMetrics(_meter, Of);
        ChoicesFinished(SequenceOutcome.Stop, 0);
        ChoicesFinished(SequenceOutcome.Length, 0);

        void Observe<T>(MetricDefinition metric, Func<SchedulerReadout, T> value) where T : struct =>
            _meter.Gauge(metric, () => _last.Select(last => new Measurement<T>(value(last.Value), LabelsOf(last.Key))));
    }

    public StageMetrics Stages { get; }

    public SequenceMetrics Sequences { get; }

    /// <param name="rows">Token positions that the step computed.</param>
    public void StepReturned(string replica, int rows)
    {
        var totals = Of(replica);
        totals.Steps.Add(1);
        totals.Rows.Add(rows);
        _stepSize.Record(rows, totals.Labels);
    }

    /// <param name="took">From its sending to its result.</param>
    public void StepTook(string replica, TimeSpan took) => _stepDuration.Record(took.TotalSeconds, LabelsOf(replica));

    /// <param name="code">The error code that the client received.</param>
    public void RequestsRefused(string code, int count = 1) => _refusals.Of(new KeyValuePair<string, object?>("code", code)).Add(count);

    /// <param name="reason">OpenAI's finish_reason.</param>
    public void ChoicesFinished(string reason, int count = 1) =>
        _finished.Of(OfModel, new KeyValuePair<string, object?>("finished_reason", reason)).Add(count);

    /// <param name="filter">Who was asked: "guard" or "output_filter".</param>
    /// <param name="of">What about: "prompt" or "answer".</param>
    public void Filtered(string filter, string of, string verdict, TimeSpan took) =>
        _filter.Record(took.TotalSeconds, new("filter", filter), new("of", of), new("verdict", verdict));

    /// <param name="after">From the end of a view with open sequences until one of them got a token again.</param>
    public void Recovered(string replica, TimeSpan after)
    {
        _recovery.Record(after.TotalSeconds, LabelsOf(replica));
        Of(replica).Recoveries.Add(after);
    }

    /// <summary>Workers got KV from those that had their layers before.</summary>
    public void KvMoved(string replica, long blocks, long missing, long bytes)
    {
        var totals = Of(replica);
        totals.BlocksMoved.Add(blocks);
        totals.BlocksMissing.Add(missing);
        totals.BytesMoved.Add(bytes);
    }

    public void WeightsSent(long bytes) => _weightsSent.Add(bytes);

    public void PromptsEncoded(TimeSpan took) => _encode.Record(took.TotalSeconds, OfModel);

    public void ViewReady(string replica) => Of(replica).Views.Add(1);

    /// <summary>Takes over a replica's levels, and adds what its scheduler has counted since the last call.</summary>
    /// <param name="readout">Null while no view is ready: levels are 0, and the next scheduler counts from 0.</param>
    public void Observe(string replica, SchedulerReadout? readout)
    {
        var (before, now) = (_last.GetValueOrDefault(replica), readout ?? default);
        if (before == now && _last.ContainsKey(replica)) return;
        _last[replica] = now;
        if (readout is null) return;
        var totals = Of(replica);
        totals.Preemptions.Add(now.Preemptions - before.Preemptions);
        totals.Queries.Add(now.QueriedTokens - before.QueriedTokens);
        totals.Hits.Add(now.HitTokens - before.HitTokens);
        totals.GrammarDrafts.Add(before.GrammarDrafts, now.GrammarDrafts);
        totals.NgramDrafts.Add(before.NgramDrafts, now.NgramDrafts);
        totals.ModelDrafts.Add(before.ModelDrafts, now.ModelDrafts);
        totals.Spilled.Add(now.BlocksSpilled - before.BlocksSpilled);
        totals.Restored.Add(now.BlocksRestored - before.BlocksRestored);
        totals.PositionsKept.Add(now.PositionsKept - before.PositionsKept);
        totals.PositionsFilled.Add(now.PositionsFilled - before.PositionsFilled);
        totals.PositionsComputed.Add(now.PositionsComputed - before.PositionsComputed);
    }

    /// <summary>What was counted and measured of a replica so far.</summary>
    public ReplicaReadout Read(string replica)
    {
        var totals = Of(replica);
        return new ReplicaReadout(
            totals.Steps.Value, totals.Rows.Value, totals.Generated.Value, totals.Prompts.Value, totals.Preemptions.Value,
            totals.Queries.Value, totals.Hits.Value, totals.GrammarDrafts.Read(), totals.NgramDrafts.Read(), totals.ModelDrafts.Read(),
            totals.Ended.ToDictionary(ended => ended.Key, ended => ended.Value.Value), _last.GetValueOrDefault(replica))
        {
            FirstTokens = totals.FirstTokens,
            TimesPerToken = totals.TimesPerToken,
            Recoveries = totals.Recoveries,
            PositionsKept = totals.PositionsKept.Value,
            PositionsFilled = totals.PositionsFilled.Value,
            PositionsComputed = totals.PositionsComputed.Value,
        };
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>A replica's levels when they were last taken over; all 0 before, and while it has no view.</summary>
    internal SchedulerReadout LevelsOf(string replica) => _last.GetValueOrDefault(replica);

    /// <summary>The labels of everything that is measured of a replica; the same array for the same replica.</summary>
    internal KeyValuePair<string, object?>[] LabelsOf(string replica) => Of(replica).Labels;

    KeyValuePair<string, object?> OfModel => new(CoordinatorMetricTable.Model, _model);

    ReplicaTotals Of(string replica) => _totals.GetOrAdd(replica, static (replica, metrics) =>
        metrics._counters.Of([new(CoordinatorMetricTable.Replica, replica), new(CoordinatorMetricTable.Model, metrics._model)]), this);
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
    public DraftReadout GrammarDrafts { get; init; }
    public DraftReadout NgramDrafts { get; init; }
    public DraftReadout ModelDrafts { get; init; }
    public int Sessions { get; init; }
    public int BlocksOnDisk { get; init; }
    public int BlocksRestoring { get; init; }
    public long BlocksSpilled { get; init; }
    public long BlocksRestored { get; init; }
    public long PositionsKept { get; init; }
    public long PositionsFilled { get; init; }
    public long PositionsComputed { get; init; }

    public int Blocks => BlocksHeld + BlocksCached + BlocksFree;
}

/// <summary>Drafts of one source: how many were verified, their tokens, and how many of these were right.</summary>
public readonly record struct DraftReadout(long Drafts, long Tokens, long Accepted);

/// <summary>What was counted of a replica since the process's start, and how much there is of everything now.</summary>
/// <param name="Ended">Sequences, by <see cref="SequenceOutcome"/>.</param>
public sealed record ReplicaReadout(
    long Steps, long Rows, long GeneratedTokens, long PromptTokens, long Preemptions, long QueriedTokens, long HitTokens,
    DraftReadout GrammarDrafts, DraftReadout NgramDrafts, DraftReadout ModelDrafts,
    IReadOnlyDictionary<string, long> Ended, SchedulerReadout Now)
{
    public long DraftedTokens => GrammarDrafts.Tokens + NgramDrafts.Tokens + ModelDrafts.Tokens;

    public long AcceptedTokens => GrammarDrafts.Accepted + NgramDrafts.Accepted + ModelDrafts.Accepted;

    public required RecentTimes FirstTokens { get; init; }

    public required RecentTimes TimesPerToken { get; init; }

    public required RecentTimes Recoveries { get; init; }

    /// <summary>Positions of sequences that went on in another view, whose KV was there.</summary>
    public long PositionsKept { get; init; }

    /// <summary>The same, whose KV some of the stages computed.</summary>
    public long PositionsFilled { get; init; }

    /// <summary>The same, whose KV all stages computed.</summary>
    public long PositionsComputed { get; init; }
}
