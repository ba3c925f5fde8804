using LlamaCluster.Model.Config;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>What a model is, as a message.</summary>
static class ModelDescriptions
{
    public static ModelDescription Describe(ServedWeights weights) => new()
    {
        ModelDigest = weights.Digest,
        ModelName = weights.Name,
        Config = ToMessage(weights.Files.Config),
        Tensors =
        {
            weights.Files.Tensors.Select(tensor => new TensorDescription
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
    };

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
        RopeScaling.Factors => new() { Kind = RopeScalingMessage.Types.Kind.Factors },   // their tensor is fetched like any other
        _ => throw new ArgumentOutOfRangeException(nameof(scaling), scaling, "unknown RoPE scaling"),
    };
}
