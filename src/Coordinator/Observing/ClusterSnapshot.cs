using System.Text.Json.Serialization;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>
/// What GET /v1/cluster answers: the cluster at one moment. Names in JSON are those of the properties in snake_case; docs/api.md has the list. Times
/// are Unix seconds, lengths of time are seconds, sizes are bytes. Null: not known, or there is none.
/// </summary>
/// <param name="UptimeSeconds">Of the coordinator's process.</param>
/// <param name="Host">The coordinator's machine.</param>
/// <param name="Workers">Those of the plan, spares, the last few lost ones, and those that cannot be reached.</param>
public sealed record ClusterSnapshot(
    double Time, double UptimeSeconds, string Host, ModelFacts Model, CountsByState WorkerCounts, IReadOnlyList<WorkerFacts> Workers,
    IReadOnlyList<ReplicaFacts> Replicas)
{
    public string Object => "cluster";

    /// <summary>The model that drafts for the served one.</summary>
    public DraftFacts? Draft { get; init; }

    /// <summary>All coordinators that share sessions, each with its replica: this one first. One that is alone has itself here.</summary>
    public IReadOnlyList<ReplicaSummary> Coordinators { get; init; } = [];
}

/// <param name="Quantization">The tensor type of most of its bytes.</param>
/// <param name="ContextLength">The most tokens of one sequence.</param>
public sealed record ModelFacts(string Id, string Digest, long Parameters, long Bytes, string Quantization, int Layers, int ContextLength, string KvType);

/// <summary>As /ready has them, and those that would register but cannot be called back.</summary>
public sealed record CountsByState(int Wanted, int Serving, int Spare, int Suspected, int SetAside, int Unreachable);

/// <summary>One worker.</summary>
/// <param name="Id">Null for one that cannot be reached, which is not registered.</param>
/// <param name="Host">Workers of one machine have the same.</param>
/// <param name="State">joining, loading, serving, spare, suspected, draining, set_aside, lost or unreachable.</param>
/// <param name="Problem">Why it is lost, set aside or unreachable; empty: nothing is wrong.</param>
/// <param name="Replica">Where it has a part of the plan in force, with <paramref name="Stage"/> and <paramref name="Rank"/>.</param>
/// <param name="MemoryReadBytesPerSecond">As it measured; 0: it has not.</param>
public sealed record WorkerFacts(
    string? Id, string Name, string Address, string Host, string State, string Problem, string? Replica, int? Stage, int? Rank, long MemoryBytes, int Threads,
    double MemoryReadBytesPerSecond, double MultiplyAddsPerSecond, string InstructionSet, string SoftwareVersion, LoadingFacts? Loading);

/// <param name="Phase">As the worker says: opening, fetching, reading, ready...</param>
/// <param name="Source">Where the weights come from: "local PATH", "cache PATH", "coordinator", "peers" or "hub HOST"; empty while unknown.</param>
public sealed record LoadingFacts(string Phase, long BytesDone, long BytesTotal, double Fraction, double BytesPerSecond, double? SecondsLeft, string Source);

/// <summary>One replica: its view, the plan, and what it does.</summary>
/// <param name="Phase">waiting, loading, ready, draining or stopping.</param>
/// <param name="Reason">What it waits for or what went wrong; empty when ready.</param>
/// <param name="Stages">Of the plan in force, or of the last one while there is none; empty before the first.</param>
/// <param name="Rates">Null until two moments have been looked at.</param>
/// <param name="Views">The last ones, oldest first.</param>
public sealed record ReplicaFacts(
    string Name, bool Ready, bool Recovering, string Phase, string Reason, ViewFacts View, IReadOnlyList<StageFacts> Stages, IReadOnlyList<LinkFacts> Links,
    PlanFacts? Plan, LoadFacts Load, TotalFacts Totals, RateFacts? Rates, LatencyFacts Latency, RecoveryFacts Recovery, IReadOnlyList<ViewLogFacts> Views);

/// <param name="InForce">Workers hold this plan now; false while the next one is awaited.</param>
public sealed record ViewFacts(ulong Version, bool InForce);

/// <summary>A stage of the pipeline.</summary>
/// <param name="Experts">What ranks have of experts: all, whole ones, or columns of every one; null if the model has none.</param>
public sealed record StageFacts(int Stage, int FirstLayer, int Layers, string? Experts, IReadOnlyList<RankFacts> Ranks);

/// <summary>A worker's place in a stage.</summary>
/// <param name="Share">Its part of each layer, 0 to 1.</param>
/// <param name="WeightBytes">As planned; the same for KV cache and buffers.</param>
/// <param name="Busy">The part of the last second in which it computed, 0 to 1; null as <see cref="ReplicaFacts.Rates"/>.</param>
/// <param name="StepSeconds">What it computed for a step, on the average of the last second; null: there was none.</param>
public sealed record RankFacts(
    int Rank, string Worker, double Share, long WeightBytes, long KvBytes, long BufferBytes,
    double? Busy, double? StepSeconds, double? ActivationBytesPerSecond, double? SumBytesPerSecond);

/// <summary>The way between two workers that send each other something.</summary>
/// <param name="Kind">activations (stage to stage) or sums (between ranks of a stage).</param>
/// <param name="RoundTripSeconds">As measured; null: it was not, as within one machine. So is <paramref name="BytesPerSecond"/>.</param>
/// <param name="FlowBytesPerSecond">
/// What flows now, as the sender counts it. What a rank sends to all others of its stage counts once, for the first of them.
/// </param>
public sealed record LinkFacts(
    string From, string To, string Kind, bool SameHost, double? RoundTripSeconds, double? BytesPerSecond, double? FlowBytesPerSecond);

/// <summary>What is under way.</summary>
/// <param name="KvBlocksUsed">Held by sequences. Cached ones keep a prefix for later requests; free ones hold nothing.</param>
/// <param name="Sessions">Whose KV is held in memory.</param>
public sealed record LoadFacts(
    int Running, int MaxRunning, int Waiting, int MaxWaiting, int KvBlocksUsed, int KvBlocksCached, int KvBlocksFree, int KvBlockPositions,
    int Sessions, int KvBlocksOnDisk);

/// <summary>Counted since the process's start.</summary>
/// <param name="Sequences">Ended ones, by outcome.</param>
public sealed record TotalFacts(
    long Steps, long GeneratedTokens, long PromptTokens, long PrefixTokensQueried, long PrefixTokensHit, long TokensDrafted, long TokensAccepted,
    long Preemptions, IReadOnlyDictionary<string, long> Sequences);

/// <summary>Over the last second or so.</summary>
/// <param name="Seconds">The time between the two moments.</param>
public sealed record RateFacts(double Seconds, double GeneratedTokensPerSecond, double PromptTokensPerSecond, double StepsPerSecond, double RowsPerStep);

/// <summary>Of sequences in the last minute.</summary>
/// <param name="PerToken">Of the tokens after the first one, for each sequence that ended.</param>
public sealed record LatencyFacts(QuantileFacts FirstToken, QuantileFacts PerToken);

/// <summary>In seconds; null where the count is 0.</summary>
public sealed record QuantileFacts(int Count, double? P50, double? P95);

/// <param name="Since">When the view ended that another one is to follow; null: no recovery is under way.</param>
/// <param name="LastSeconds">How long sequences of the last such view waited for their next token; null: there was none in the last hour.</param>
public sealed record RecoveryFacts(double? Since, string Reason, double? LastSeconds);

/// <param name="Planned">It ended for another view; nothing broke.</param>
public sealed record ViewLogFacts(
    ulong Version, int Stages, int Workers, int KvBlocks, string Choice, double Began, double? Ready, double? Ended, string End, bool Planned);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ClusterSnapshot))]
[JsonSerializable(typeof(WhatIfAnswer))]
public sealed partial class ClusterJson : JsonSerializerContext;
