using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Planning.Plans;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Orders;

/// <summary>What the coordinator wants this worker to hold: an AssignRequest that was checked.</summary>
/// <param name="Assignment">This worker's part of the plan.</param>
/// <param name="ModelPath">Where the coordinator has the model. This machine may have no such file. Null: not said.</param>
/// <param name="KvBlockCount">Null: as many as memory allows.</param>
/// <param name="ActivationType">How activations travel to the next stage.</param>
/// <param name="SumType">How partial sums travel between the ranks of a stage.</param>
sealed record LoadOrder(
    ClusterPlan Plan,
    ShardAssignment Assignment,
    string? ModelPath,
    int? KvBlockCount,
    KvType KvType,
    int MaxStepRows,
    int MaxSequenceLength,
    Wire.ActivationType ActivationType,
    Wire.ActivationType SumType)
{
    /// <summary>The longest that the coordinator expects a step to wait for other stages. Zero: not said.</summary>
    public TimeSpan StepTimeout { get; init; }

    /// <summary>What sequences may name as their adapters.</summary>
    public IReadOnlyList<AdapterOrder> Adapters { get; init; } = [];

    /// <summary>The greatest rank of any adapter; 0: there are none, and none will come.</summary>
    public int MaxAdapterRank { get; init; }

    /// <summary>The greatest vocabulary of any adapter; 0: all have the model's.</summary>
    public int MaxAdapterVocabulary { get; init; }

    /// <summary>Of the coordinator that gives the order.</summary>
    public ulong Epoch { get; init; }

    /// <summary>What the workers of the view show each other.</summary>
    public required PeerKey ViewKey { get; init; }

    /// <summary>Where KV of the shard's layers can be fetched.</summary>
    public IReadOnlyList<KvSource> KvSources { get; init; } = [];

    /// <summary>The blocks to fetch, the most wanted first.</summary>
    public IReadOnlyList<int> KvBlocks { get; init; } = [];

    /// <summary>For so many of them, from the first on, sequences wait.</summary>
    public int KvBlocksAwaited { get; init; }

    /// <summary>All fetching may take so long.</summary>
    public TimeSpan KvFetchTime { get; init; }

    /// <summary>Others fetch what this worker had, and has no longer.</summary>
    public bool KvIsFetched { get; init; }

    /// <summary>Workers give each other parts of the model's weights.</summary>
    public bool SharesWeights { get; init; }

    /// <summary>The greatest vocabulary of any sequence of a model.</summary>
    public int MaxVocabularyOf(LlamaConfig config) => Math.Max(config.VocabularySize, MaxAdapterVocabulary);

    public StageShape Shape { get; } = new(Assignment.Shard.Layers.First, Assignment.Shard.Layers.Count, Plan.LayerCount);

    /// <summary>
    /// The workers that this one sends its activations to. All ranks of a stage hold the same activations, so rank r of n feeds the ranks r,
    /// r + n, r + 2n... of the next stage. Each of those gets them once.
    /// </summary>
    public IEnumerable<ShardAssignment> Next
    {
        get
        {
            var stage = Assignment.Stage + 1;
            var (rank, ranks) = (Assignment.Shard.Slice.Rank, Assignment.Shard.Slice.RankCount);
            return stage == Plan.StageCount ? [] : [.. Plan.Ranks(stage).ToArray().Where(next => next.Shard.Slice.Rank % ranks == rank)];
        }
    }
}

/// <summary>A worker that has KV of some layers of a shard.</summary>
/// <param name="Key">That it takes from whoever fetches.</param>
sealed record KvSource(WorkerId Worker, Uri Address, PeerKey Key, LayerRange Layers);

/// <summary>Checks an AssignRequest in full, before the worker gives up anything that it holds.</summary>
static class LoadOrderMapping
{
    const int MaxPathLength = 4096;
    const int MaxStepRows = 1 << 16;
    const int MaxSequenceLength = 1 << 27;
    const int MaxMilliseconds = 24 * 60 * 60 * 1000;
    const int MaxKvSources = 4096;

    /// <exception cref="InvalidMessageException">A field is out of range, the plan breaks a rule, or this worker is not in it.</exception>
    public static LoadOrder ToOrder(this Wire.AssignRequest request)
    {
        var plan = Field.Required("plan", request.Plan).ToPlan();
        var assignment = plan.Find(Field.Worker("worker_id", request.WorkerId))
            ?? throw new InvalidMessageException($"worker_id {request.WorkerId} has no assignment in the plan");
        Field.Count("the number of kv_sources", request.KvSources.Count, 0, MaxKvSources);
        return new LoadOrder(
            plan,
            assignment,
            Field.Text("model_path", request.ModelPath, MaxPathLength) is { Length: > 0 } path ? path : null,
            Field.Count("kv_block_count", request.KvBlockCount, 0, int.MaxValue) is > 0 and var blocks ? blocks : null,
            ToKvType(request.KvType),
            Field.Count("max_step_rows", request.MaxStepRows, 1, MaxStepRows),
            Field.Count("max_sequence_length", request.MaxSequenceLength, 1, MaxSequenceLength),
            ToActivationType("activation_type", request.ActivationType),
            ToActivationType("sum_type", request.SumType))
        {
            Adapters = AdapterOrders.Read(request.Adapters),
            MaxAdapterRank = Field.Count("max_adapter_rank", request.MaxAdapterRank, 0, AdapterWeights.MostRank),
            MaxAdapterVocabulary = Field.Count("max_adapter_vocabulary", request.MaxAdapterVocabulary, 0, LlamaConfigRules.MaxVocabulary),
            Epoch = request.Epoch,
            ViewKey = PeerKey.Read("view_key", request.ViewKey),
            StepTimeout = TimeSpan.FromMilliseconds(Field.Count("step_timeout_milliseconds", request.StepTimeoutMilliseconds, 0, MaxMilliseconds)),
            KvSources = [.. request.KvSources.Select(source => ToKvSource(source, assignment.Shard.Layers))],
            KvBlocks = request.KvBlocks,
            KvBlocksAwaited = Field.Count("kv_blocks_awaited", request.KvBlocksAwaited, 0, request.KvBlocks.Count),
            KvFetchTime = TimeSpan.FromMilliseconds(Field.Count("kv_fetch_milliseconds", request.KvFetchMilliseconds, 0, MaxMilliseconds)),
            KvIsFetched = request.KvIsFetched,
            SharesWeights = request.WeightsAreShared,
        };
    }

    static KvSource ToKvSource(Wire.KvSource source, LayerRange shard)
    {
        var first = Field.Count("first_layer of a KV source", source.FirstLayer, shard.First, shard.End - 1);
        var layers = new LayerRange(first, Field.Count("layer_count of a KV source", source.LayerCount, 1, shard.End - first));
        return new KvSource(Field.Worker("worker_id of a KV source", source.WorkerId), Field.Address("address of a KV source", source.Address),
            PeerKey.Read("key of a KV source", source.Key), layers);
    }

    static KvType ToKvType(Wire.KvType type) => type switch
    {
        Wire.KvType.F32 => KvType.F32,
        Wire.KvType.F16 or Wire.KvType.Unspecified => KvType.F16,
        Wire.KvType.Q80 => KvType.Q8_0,
        Wire.KvType.Q40 => KvType.Q4_0,
        _ => throw new InvalidMessageException($"kv_type {(int)type} is unknown"),
    };

    static Wire.ActivationType ToActivationType(string field, Wire.ActivationType type) => type switch
    {
        Wire.ActivationType.F32 or Wire.ActivationType.Unspecified => Wire.ActivationType.F32,
        Wire.ActivationType.Bf16 or Wire.ActivationType.Q8 => type,
        _ => throw new InvalidMessageException($"{field} {(int)type} is unknown"),
    };
}
