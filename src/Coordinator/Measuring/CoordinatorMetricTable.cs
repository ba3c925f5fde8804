using LlamaCluster.Cluster.Telemetry;
using static LlamaCluster.Cluster.Telemetry.MetricKind;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>
/// All metrics of a coordinator. To add one: a row here, in its section below too, an instrument made of it (<see cref="MetricInstruments"/>),
/// and <c>llamacluster metrics > docs/metrics.md</c>.
/// </summary>
public static class CoordinatorMetricTable
{
    public const string Replica = "replica";
    public const string Model = "model_name";
    public const string Stage = "stage";
    public const string Rank = "rank";
    public const string Worker = "worker";
    public const string Source = "source";

    const int Many = SeriesLimits.Workers;

    static readonly string[] OfReplica = [Replica, Model];
    static readonly string[] OfSource = [Replica, Model, Source];
    static readonly string[] OfRank = [Replica, Stage, Rank];

    public static readonly MetricDefinition Steps = new("llamacluster.steps", Counter, "{step}", "Steps that returned.", OfReplica);
    public static readonly MetricDefinition Rows = new(
        "llamacluster.step.rows", Counter, "{token}", "Token positions computed, of prompts and generated ones.", OfReplica);
    public static readonly MetricDefinition StepSize = Sizes("llamacluster.step.size", "Token positions of one step.", MetricBoundaries.Rows);
    public static readonly MetricDefinition StepDuration = new(
        "llamacluster.step.duration", Histogram, "s",
        "One step, from its sending to its result. Several are under way at a time, one for each stage.", OfReplica)
    { Boundaries = MetricBoundaries.Steps };
    public static readonly MetricDefinition GeneratedTokens = new(
        "llamacluster.tokens.generated", Counter, "{token}",
        "Tokens sampled for sequences that were still wanted.", OfReplica)
    { Vllm = "vllm:generation_tokens" };
    public static readonly MetricDefinition PromptTokens = new(
        "llamacluster.tokens.prompt", Counter, "{token}",
        "Prompt tokens of sequences that came to their first token, cached ones too.", OfReplica)
    { Vllm = "vllm:prompt_tokens" };

    public static readonly MetricDefinition Sequences = new(
        "llamacluster.sequences", Counter, "{sequence}",
        "Sequences that ended, by outcome: stop, length, failed, refused, or cancelled (by the client, or because a stop text was met).",
        [.. OfReplica, "outcome"]);
    public static readonly MetricDefinition FinishedChoices = new(
        "llamacluster.choices.finished", Counter, "{choice}",
        "Choices of answers that came to their end, by reason: stop, length or content_filter.", Model, "finished_reason")
    { Vllm = "vllm:request_success" };
    public static readonly MetricDefinition Refusals = new(
        "llamacluster.requests.refused", Counter, "{request}",
        "Requests that were refused because the cluster was not ready, busy or too small, by error code, or because of a limit of their key (key_limit).",
        "code");
    public static readonly MetricDefinition FilterDuration = new(
        "llamacluster.filter.duration", Histogram, "s",
        "One question to the guard or the output filter, by whom (guard, output_filter), of what (prompt, answer), and by verdict: passed, blocked, "
        + "replaced or failed.",
        "filter", "of", "verdict")
    { Boundaries = MetricBoundaries.Waits };
    public static readonly MetricDefinition EncodeDuration = new(
        "llamacluster.request.encode.duration", Histogram, "s",
        "Making token ids of a request's prompts, with the wait for the turn to do so.", Model)
    { Boundaries = MetricBoundaries.Waits };
    public static readonly MetricDefinition FirstToken = Waits(
        "llamacluster.sequence.time_to_first_token", "From a sequence's arrival, with its prompt encoded, to its first token.", "vllm:time_to_first_token");
    public static readonly MetricDefinition InterToken = Waits(
        "llamacluster.sequence.inter_token.duration", "From a token to the next one. Tokens that come together, after right guesses, share the time.",
        "vllm:inter_token_latency");
    public static readonly MetricDefinition TimePerToken = Waits(
        "llamacluster.sequence.time_per_output_token", "Mean time of a sequence's tokens after the first one.", "vllm:request_time_per_output_token");
    public static readonly MetricDefinition SequenceDuration = Waits(
        "llamacluster.sequence.duration", "From a sequence's arrival to its last token.", "vllm:e2e_request_latency");
    public static readonly MetricDefinition QueueDuration = Waits(
        "llamacluster.sequence.queue.duration", "From a sequence's arrival until its first step is sent.", "vllm:request_queue_time");
    public static readonly MetricDefinition PrefillDuration = Waits(
        "llamacluster.sequence.prefill.duration", "From a sequence's first step to its first token.", "vllm:request_prefill_time");
    public static readonly MetricDefinition DecodeDuration = Waits(
        "llamacluster.sequence.decode.duration", "From a sequence's first token to its last.", "vllm:request_decode_time");
    public static readonly MetricDefinition PromptLength = Sizes(
        "llamacluster.sequence.prompt.length", "Tokens of a sequence's prompt.", MetricBoundaries.Lengths, "vllm:request_prompt_tokens");
    public static readonly MetricDefinition AnswerLength = Sizes(
        "llamacluster.sequence.answer.length", "Tokens that were generated for a sequence.", MetricBoundaries.Lengths, "vllm:request_generation_tokens");

    public static readonly MetricDefinition Running = new(
        "llamacluster.sequences.running", Gauge, "{sequence}", "Sequences that hold KV blocks.", OfReplica)
    { Vllm = "vllm:num_requests_running" };
    public static readonly MetricDefinition Waiting = new(
        "llamacluster.queue.length", Gauge, "{sequence}", "Sequences that wait for KV blocks.", OfReplica)
    { Vllm = "vllm:num_requests_waiting" };
    public static readonly MetricDefinition Preemptions = new(
        "llamacluster.preemptions", Counter, "{sequence}",
        "Sequences that gave up their KV blocks to others.", OfReplica)
    { Vllm = "vllm:num_preemptions" };
    public static readonly MetricDefinition BlocksUsed = new(
        "llamacluster.kv.blocks.used", Gauge, "{block}", "KV blocks that sequences hold.", OfReplica);
    public static readonly MetricDefinition BlocksCached = new(
        "llamacluster.kv.blocks.cached", Gauge, "{block}", "KV blocks that no sequence holds and that keep a prefix for later requests.", OfReplica);
    public static readonly MetricDefinition BlocksFree = new(
        "llamacluster.kv.blocks.free", Gauge, "{block}", "KV blocks that hold nothing.", OfReplica);
    public static readonly MetricDefinition KvUsage = new(
        "llamacluster.kv.usage", Gauge, "1", "Part of the KV blocks that sequences hold, 0 to 1.", OfReplica)
    { Vllm = "vllm:kv_cache_usage_perc" };
    public static readonly MetricDefinition CacheConfig = new(
        "llamacluster.kv.config", Gauge, "", "1; the labels say how the KV cache is laid out.",
        [.. OfReplica, "block_size", "num_gpu_blocks", "cache_dtype", "enable_prefix_caching"])
    { Vllm = "vllm:cache_config_info", IsVllmOnly = true };
    public static readonly MetricDefinition Adapters = new(
        "llamacluster.adapters", Gauge, "",
        "The time in seconds since 1970; the labels name the adapters that sequences use which have begun, and which have not. Only where there are adapters.",
        [.. OfReplica, "max_lora", "running_lora_adapters", "waiting_lora_adapters"])
    { Vllm = "vllm:lora_requests_info", IsVllmOnly = true };
    public static readonly MetricDefinition PrefixQueries = new(
        "llamacluster.prefix_cache.queries", Counter, "{token}",
        "Known tokens of sequences that began and may share KV.", OfReplica)
    { Vllm = "vllm:prefix_cache_queries" };
    public static readonly MetricDefinition PrefixHits = new(
        "llamacluster.prefix_cache.hits", Counter, "{token}", "Queried tokens whose KV was in the cache.", OfReplica)
    { Vllm = "vllm:prefix_cache_hits" };
    public static readonly MetricDefinition Drafts = new(
        "llamacluster.speculation.drafts", Counter, "{draft}",
        "Drafts that were verified, by source: grammar (what a form leaves no choice about), ngram (what followed the same tokens before) or model (a draft "
        + "model).",
        OfSource)
    { Vllm = "vllm:spec_decode_num_drafts" };
    public static readonly MetricDefinition Drafted = new(
        "llamacluster.speculation.drafted", Counter, "{token}", "Tokens that were guessed and verified in one step with a sampled one, by source.", OfSource)
    { Vllm = "vllm:spec_decode_num_draft_tokens" };
    public static readonly MetricDefinition Accepted = new(
        "llamacluster.speculation.accepted", Counter, "{token}", "Drafted tokens that turned out right, by source.", OfSource)
    { Vllm = "vllm:spec_decode_num_accepted_tokens" };

    public static readonly MetricDefinition Sessions = Level(
        "llamacluster.sessions.held", "{session}", "Sessions whose KV blocks are held in memory for their next turn.");
    public static readonly MetricDefinition BlocksOnDisk = Level("llamacluster.kv.disk.blocks", "{block}", "KV blocks that all workers have on disk.");
    public static readonly MetricDefinition BlocksRestoring = Level(
        "llamacluster.kv.disk.restoring", "{block}", "Reads of KV blocks from disk that sequences wait for.");
    public static readonly MetricDefinition BlocksSpilled = new(
        "llamacluster.kv.disk.spilled", Counter, "{block}", "KV blocks that were ordered to be written to disk.", OfReplica);
    public static readonly MetricDefinition BlocksRestored = new(
        "llamacluster.kv.disk.restored", Counter, "{block}", "KV blocks that were read from disk instead of being computed again.", OfReplica);

    public static readonly MetricDefinition StageRows = new(
        "llamacluster.stage.rows", Counter, "{token}",
        "Token positions that a rank of a stage computed. Fewer than on the stages before it: it had kept some when a view ended.", OfRank)
    { MostSeries = Many };
    public static readonly MetricDefinition StageBusy = new(
        "llamacluster.stage.busy", Counter, "s",
        "Time in which a stage computed. Its rate is the part of the time in which the stage is busy. By the clock: "
        + "what kept it from the processor meanwhile counts too.", OfRank)
    { MostSeries = Many };
    public static readonly MetricDefinition StageCompute = Parts(
        "llamacluster.stage.compute.duration", "Time in which a stage computed for one step.");
    public static readonly MetricDefinition StageWait = Parts(
        "llamacluster.stage.wait.duration", "Time in which a stage waited for the activations of one step.");
    public static readonly MetricDefinition StageSync = Parts(
        "llamacluster.stage.tensor_sync",
        "Time that a rank of a stage spent in exchanges with the other ranks for one step: sending, adding, and waiting for the slower one.");
    public static readonly MetricDefinition StageRoundTrip = Parts(
        "llamacluster.stage.round_trip.duration", "From the sending of a step to a worker's answer, with what it waited for the stages before.");
    public static readonly MetricDefinition SyncSent = new(
        "llamacluster.stage.tensor_sync.sent", Counter, "By",
        "What a rank of a stage sent to the other ranks, as the links took it, without what frames it.", OfRank)
    { MostSeries = Many };
    public static readonly MetricDefinition ActivationsSent = new(
        "llamacluster.stage.activations.sent", Counter, "By",
        "Activations that a rank of a stage sent to the next stage, as the links took them, without what frames them.", OfRank)
    { MostSeries = Many };
    public static readonly MetricDefinition StageInfo = new(
        "llamacluster.stage.info", Gauge, "", "1; the labels say which worker is which rank of which stage, and the stage's layers.",
        [.. OfRank, Worker, "first_layer", "layers"])
    { MostSeries = Many };

    public static readonly MetricDefinition Ready = new("llamacluster.ready", Gauge, "", "1 while the replica takes requests, else 0.", OfReplica);
    public static readonly MetricDefinition Views = new(
        "llamacluster.views", Counter, "{view}", "Plans that became ready. Several in a short time: the cluster recovers from something.", OfReplica);
    public static readonly MetricDefinition RecoveryDuration = new(
        "llamacluster.recovery.duration", Histogram, "s", "From the end of a view with open sequences until one of them got a token again.", OfReplica)
    { Boundaries = MetricBoundaries.Waits };
    public static readonly MetricDefinition RecoveredPositions = new(
        "llamacluster.recovery.positions", Counter, "{token}",
        "Token positions of sequences that went on in another view, by how their KV came to be there: kept, filled (computed by the stages up to the last that "
        + "lacked it), or computed (by all stages).",
        [.. OfReplica, "how"]);
    public static readonly MetricDefinition MovedBlocks = new(
        "llamacluster.recovery.kv.blocks", Counter, "{block}",
        "KV blocks that were to come from the worker that had their layers before, instead of being computed again, by result: moved, or missing (sequences "
        + "waited for them, and the worker did not have them or went too soon). Blocks that come from two workers count twice.",
        [.. OfReplica, "result"]);
    public static readonly MetricDefinition MovedBytes = new(
        "llamacluster.recovery.kv.moved", Counter, "By", "What these blocks have in the layers that moved.", OfReplica);
    public static readonly MetricDefinition ViewVersion = new("llamacluster.view.version", Gauge, "", "Version of the newest view.");
    public static readonly MetricDefinition PredictedTokenTime = new(
        "llamacluster.plan.token.duration", Gauge, "s", "What the planner expects a token of one stream to take.", OfReplica);
    public static readonly MetricDefinition Workers = new(
        "llamacluster.workers", Gauge, "{worker}",
        "Workers, by state: wanted (as configured), serving (it holds a shard of the view), spare, suspected, set_aside, or unreachable.", "state");
    public static readonly MetricDefinition WorkersLost = new(
        "llamacluster.workers.lost", Counter, "{worker}", "Workers that were lost. One that comes back and is lost again counts twice.");
    public static readonly MetricDefinition WorkerMemory = OfMany(
        "llamacluster.worker.memory", "By", "What a worker may use for weights, KV cache and buffers.", Worker);
    public static readonly MetricDefinition WorkerReadRate = OfMany(
        "llamacluster.worker.memory_read.rate", "By/s", "Plain reads of memory by a worker's threads, as it measured them.", Worker);
    public static readonly MetricDefinition WorkerMultiplyRate = OfMany(
        "llamacluster.worker.multiply_add.rate", "{multiply_add}/s",
        "Products of many rows with Q4_0 weights by a worker's threads, as it measured them.", Worker);
    public static readonly MetricDefinition WorkerLoaded = OfMany(
        "llamacluster.worker.weights.loaded", "By", "Weights of its shard that a worker has loaded.", Worker);
    public static readonly MetricDefinition WorkerToLoad = OfMany("llamacluster.worker.weights.size", "By", "Weights of a worker's shard.", Worker);
    public static readonly MetricDefinition LinkRoundTrip = OfMany(
        "llamacluster.link.round_trip", "s", "Round trip between two hosts, as their workers measured it for the plan.", "from", "to");
    public static readonly MetricDefinition LinkRate = OfMany(
        "llamacluster.link.rate", "By/s", "What one host can send to another, as their workers measured it for the plan.", "from", "to");
    public static readonly MetricDefinition ModelInfo = new(
        "llamacluster.model.info", Gauge, "", "1; the labels say which model is served.", Model, "digest", "context_length");
    public static readonly MetricDefinition WeightsSent = new(
        "llamacluster.weights.sent", Counter, "By", "Weights that the coordinator sent to workers, adapters too.", Model);

    /// <summary>In the order of the reference.</summary>
    public static IReadOnlyList<(string Heading, IReadOnlyList<MetricDefinition> Metrics)> Sections { get; } =
    [
        ("Steps and tokens", [Steps, Rows, StepSize, StepDuration, GeneratedTokens, PromptTokens]),
        ("Requests and sequences",
        [
            Sequences, FinishedChoices, Refusals, FilterDuration, EncodeDuration, FirstToken, InterToken, TimePerToken, SequenceDuration, QueueDuration,
            PrefillDuration, DecodeDuration, PromptLength, AnswerLength,
        ]),
        ("Queue, KV cache, speculation",
        [
            Running, Waiting, Preemptions, BlocksUsed, BlocksCached, BlocksFree, KvUsage, CacheConfig, Adapters, PrefixQueries, PrefixHits,
            Drafts, Drafted, Accepted,
        ]),
        ("Sessions and KV on disk", [Sessions, BlocksOnDisk, BlocksRestoring, BlocksSpilled, BlocksRestored]),
        ("Stages and their ranks", [StageRows, StageBusy, StageCompute, StageWait, StageSync, StageRoundTrip, SyncSent, ActivationsSent, StageInfo]),
        ("The cluster and its workers",
        [
            Ready, Views, RecoveryDuration, RecoveredPositions, MovedBlocks, MovedBytes, WeightsSent, ViewVersion, PredictedTokenTime, Workers, WorkersLost,
            WorkerMemory, WorkerReadRate, WorkerMultiplyRate, WorkerLoaded, WorkerToLoad, LinkRoundTrip, LinkRate, ModelInfo,
        ]),
    ];

    public static IReadOnlyList<MetricDefinition> All { get; } = [.. Sections.SelectMany(section => section.Metrics)];

    /// <summary>Of a client's sequence.</summary>
    static MetricDefinition Waits(string name, string meaning, string vllm) =>
        new(name, Histogram, "s", meaning, OfReplica) { Boundaries = MetricBoundaries.Waits, Vllm = vllm };

    static MetricDefinition Sizes(string name, string meaning, IReadOnlyList<double> boundaries, string? vllm = null) =>
        new(name, Histogram, "{token}", meaning, OfReplica) { Boundaries = boundaries, Vllm = vllm };

    static MetricDefinition Level(string name, string unit, string meaning) => new(name, Gauge, unit, meaning, OfReplica);

    /// <summary>Of one step on one rank of a stage.</summary>
    static MetricDefinition Parts(string name, string meaning) =>
        new(name, Histogram, "s", meaning, OfRank) { Boundaries = MetricBoundaries.Steps, MostSeries = Many };

    /// <summary>Of each worker, or of each link between them.</summary>
    static MetricDefinition OfMany(string name, string unit, string meaning, params string[] labels) =>
        new(name, Gauge, unit, meaning, labels) { MostSeries = Many };
}
