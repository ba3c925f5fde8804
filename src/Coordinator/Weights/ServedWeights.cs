using Grpc.Core;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>The model's files, which the Weights service sends to workers that lack them.</summary>
/// <param name="Digest">See <see cref="IModelWeights.ComputeDigest"/>.</param>
/// <param name="Hashes">What its parts hash to.</param>
/// <param name="Hub">Where workers fetch parts that stand there. Null: all of them come from the Weights service.</param>
/// <param name="AreShared">Workers give each other what they have, and fetch here what none of them has.</param>
public sealed record ServedWeights(IModelWeights Files, string Name, string Digest, PartHashes Hashes, HubOrigin? Hub = null, bool AreShared = false)
{
    /// <summary>
    /// What a worker needs to know before it can ask for tensors: the model's config, each tensor's name, type and shape, and where on a hub it stands.
    /// </summary>
    public ModelDescription Describe()
    {
        var description = DescribeTensors();
        if (Hub is not null) HubPlaces.AddTo(description, Files, Hub);
        return description;
    }

    /// <summary>The answer to a worker that asks for another model.</summary>
    public RpcException NotServed(string digest) =>
        new(new Status(StatusCode.FailedPrecondition, $"model {digest} is not served here; {Digest} ({Name}) is"));

    ModelDescription DescribeTensors() => new()
    {
        ModelDigest = Digest,
        ModelName = Name,
        Config = ToMessage(Files.Config),
        Tensors =
        {
            Files.Tensors.Select(tensor => new TensorDescription
            {
                Name = tensor.Name,
                Type = (uint)tensor.Type,
                Rows = (ulong)tensor.Rows,
                Columns = (ulong)tensor.Columns,
            }),
        },
    };

    static LlamaConfigMessage ToMessage(LlamaConfig config) => new()
    {
        LayerCount = (uint)config.LayerCount,
        HiddenSize = (uint)config.HiddenSize,
        FfnSize = (uint)config.FfnSize,
        HeadCount = (uint)config.HeadCount,
        KvHeadCount = (uint)config.KvHeadCount,
        HeadSize = (uint)config.HeadSize,
        VocabularySize = (uint)config.VocabularySize,
        ContextLength = (uint)config.ContextLength,
        RmsEpsilon = config.RmsEpsilon,
        RopeTheta = config.RopeTheta,
        RopeDimensionCount = (uint)config.RopeDimensionCount,
        RopeScaling = config.RopeScaling is { } scaling ? ToMessage(scaling) : null,
        TiedEmbeddings = config.TiedEmbeddings,
        Experts = config.Experts is { } experts ? ToMessage(experts) : null,
        Chunks = config.Chunks is { } chunks ? ToMessage(chunks) : null,
        NormsHeads = config.NormsHeads,
        AttentionBiases = (uint)config.Biases,
        QueryScale = config.QueryScale is { } scale ? ToMessage(scale) : null,
        Window = (uint)(config.Window ?? 0),
        Sizes = { (config.Sizes ?? Enumerable.Empty<LayerSizes>()).Select(ToMessage) },
    };

    static LayerSizesMessage ToMessage(LayerSizes sizes) => new()
    {
        HeadCount = (uint)sizes.HeadCount,
        KvHeadCount = (uint)sizes.KvHeadCount,
        FfnSize = (uint)sizes.FfnSize,
    };

    static ExpertMixtureMessage ToMessage(ExpertMixture experts) => new()
    {
        Count = (uint)experts.Count,
        UsedCount = (uint)experts.UsedCount,
        FfnSize = (uint)experts.FfnSize,
        LayerStep = (uint)experts.LayerStep,
        Gate = experts.Gate switch
        {
            ExpertGate.Softmax => ExpertMixtureMessage.Types.Gate.Softmax,
            ExpertGate.Sigmoid => ExpertMixtureMessage.Types.Gate.Sigmoid,
            _ => throw new ArgumentOutOfRangeException(nameof(experts), experts.Gate, "unknown expert gate"),
        },
        HasShared = experts.HasShared,
    };

    static ChunkedAttentionMessage ToMessage(ChunkedAttention chunks) => new()
    {
        ChunkSize = (uint)chunks.ChunkSize,
        FullLayerStep = (uint)chunks.FullLayerStep,
    };

    static QueryScaleMessage ToMessage(QueryScale scale) => new() { Growth = scale.Growth, Span = (uint)scale.Span, Offset = (uint)scale.Offset };

    static RopeScalingMessage ToMessage(RopeScaling scaling) => scaling switch
    {
        RopeScaling.Linear linear => new() { Kind = RopeScalingMessage.Types.Kind.Linear, Factor = linear.Factor },
        RopeScaling.Llama3 llama3 => new()
        {
            Kind = RopeScalingMessage.Types.Kind.Llama3,
            Factor = llama3.Factor,
            LowFrequencyFactor = llama3.LowFrequencyFactor,
            HighFrequencyFactor = llama3.HighFrequencyFactor,
            OriginalContextLength = (uint)llama3.OriginalContextLength,
        },
        RopeScaling.Yarn yarn => new()
        {
            Kind = RopeScalingMessage.Types.Kind.Yarn,
            Factor = yarn.Factor,
            OriginalContextLength = (uint)yarn.OriginalContextLength,
            FastTurns = yarn.FastTurns,
            SlowTurns = yarn.SlowTurns,
            Magnitude = yarn.Magnitude,
        },
        RopeScaling.Factors => new() { Kind = RopeScalingMessage.Types.Kind.Factors },   // the factors are a tensor, and workers fetch it like any other
        _ => throw new ArgumentOutOfRangeException(nameof(scaling), scaling, "unknown RoPE scaling"),
    };
}
