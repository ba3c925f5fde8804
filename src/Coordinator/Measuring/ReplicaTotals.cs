using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>Counters of replicas, one total for each.</summary>
sealed class ReplicaCounters(Meter meter, TimeProvider time)
{
    readonly TotalCounter _steps = new(meter, CoordinatorMetricTable.Steps);
    readonly TotalCounter _rows = new(meter, CoordinatorMetricTable.Rows);
    readonly TotalCounter _generated = new(meter, CoordinatorMetricTable.GeneratedTokens);
    readonly TotalCounter _prompts = new(meter, CoordinatorMetricTable.PromptTokens);
    readonly TotalCounter _sequences = new(meter, CoordinatorMetricTable.Sequences);
    readonly TotalCounter _preemptions = new(meter, CoordinatorMetricTable.Preemptions);
    readonly TotalCounter _queries = new(meter, CoordinatorMetricTable.PrefixQueries);
    readonly TotalCounter _hits = new(meter, CoordinatorMetricTable.PrefixHits);
    readonly TotalCounter _drafts = new(meter, CoordinatorMetricTable.Drafts);
    readonly TotalCounter _drafted = new(meter, CoordinatorMetricTable.Drafted);
    readonly TotalCounter _accepted = new(meter, CoordinatorMetricTable.Accepted);
    readonly TotalCounter _spilled = new(meter, CoordinatorMetricTable.BlocksSpilled);
    readonly TotalCounter _restored = new(meter, CoordinatorMetricTable.BlocksRestored);
    readonly TotalCounter _views = new(meter, CoordinatorMetricTable.Views);
    readonly TotalCounter _positions = new(meter, CoordinatorMetricTable.RecoveredPositions);
    readonly TotalCounter _movedBlocks = new(meter, CoordinatorMetricTable.MovedBlocks);
    readonly TotalCounter _movedBytes = new(meter, CoordinatorMetricTable.MovedBytes);

    /// <summary>The totals of a replica, which all begin at 0.</summary>
    public ReplicaTotals Of(KeyValuePair<string, object?>[] labels) => new(
        labels, _steps.Of(labels), _rows.Of(labels), _generated.Of(labels), _prompts.Of(labels), _preemptions.Of(labels), _queries.Of(labels),
        _hits.Of(labels), DraftsOf(labels, "grammar"), DraftsOf(labels, "ngram"), DraftsOf(labels, "model"), _spilled.Of(labels), _restored.Of(labels),
        _views.Of(labels), SequenceOutcome.All.ToDictionary(outcome => outcome, outcome => _sequences.Of([.. labels, new("outcome", outcome)])))
    {
        PositionsKept = _positions.Of([.. labels, new("how", "kept")]),
        PositionsFilled = _positions.Of([.. labels, new("how", "filled")]),
        PositionsComputed = _positions.Of([.. labels, new("how", "computed")]),
        BlocksMoved = _movedBlocks.Of([.. labels, new("result", "moved")]),
        BlocksMissing = _movedBlocks.Of([.. labels, new("result", "missing")]),
        BytesMoved = _movedBytes.Of(labels),
        FirstTokens = new RecentTimes(time),
        TimesPerToken = new RecentTimes(time),
        Recoveries = new RecentTimes(time),
    };

    DraftTotals DraftsOf(KeyValuePair<string, object?>[] labels, string source)
    {
        KeyValuePair<string, object?>[] its = [.. labels, new(CoordinatorMetricTable.Source, source)];
        return new DraftTotals(_drafts.Of(its), _drafted.Of(its), _accepted.Of(its));
    }
}

/// <summary>What was counted of the drafts of one source.</summary>
sealed record DraftTotals(Total Drafts, Total Tokens, Total Accepted)
{
    public void Add(DraftReadout before, DraftReadout now)
    {
        Drafts.Add(now.Drafts - before.Drafts);
        Tokens.Add(now.Tokens - before.Tokens);
        Accepted.Add(now.Accepted - before.Accepted);
    }

    public DraftReadout Read() => new(Drafts.Value, Tokens.Value, Accepted.Value);
}

/// <summary>What is counted of one replica.</summary>
/// <param name="Labels">Of everything that is measured of it.</param>
/// <param name="Ended">By <see cref="SequenceOutcome"/>.</param>
sealed record ReplicaTotals(
    KeyValuePair<string, object?>[] Labels, Total Steps, Total Rows, Total Generated, Total Prompts, Total Preemptions, Total Queries, Total Hits,
    DraftTotals GrammarDrafts, DraftTotals NgramDrafts, DraftTotals ModelDrafts, Total Spilled, Total Restored, Total Views,
    IReadOnlyDictionary<string, Total> Ended)
{
    /// <summary>Of sequences that went on in another view: there already.</summary>
    public required Total PositionsKept { get; init; }

    /// <summary>The same: computed by some of the stages.</summary>
    public required Total PositionsFilled { get; init; }

    /// <summary>The same: computed by all stages.</summary>
    public required Total PositionsComputed { get; init; }

    /// <summary>KV blocks that came from the worker that had their layers before.</summary>
    public required Total BlocksMoved { get; init; }

    /// <summary>Those that sequences waited for, and that did not come.</summary>
    public required Total BlocksMissing { get; init; }

    public required Total BytesMoved { get; init; }

    /// <summary>From sequences' arrival to their first tokens.</summary>
    public required RecentTimes FirstTokens { get; init; }

    /// <summary>Mean times of sequences' later tokens.</summary>
    public required RecentTimes TimesPerToken { get; init; }

    /// <summary>From the end of views with open sequences until one of them got a token again.</summary>
    public required RecentTimes Recoveries { get; init; }
}

/// <summary>How a sequence ended, as metrics say it.</summary>
public static class SequenceOutcome
{
    public const string Stop = "stop";
    public const string Length = "length";
    public const string Failed = "failed";
    public const string Refused = "refused";
    public const string Cancelled = "cancelled";

    /// <summary>Of a choice only: a guard or a filter ended it.</summary>
    public const string Filtered = "content_filter";

    public static IReadOnlyList<string> All { get; } = [Stop, Length, Failed, Refused, Cancelled];
}
