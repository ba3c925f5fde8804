using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using Gate = LlamaCluster.Protos.ExpertMixtureMessage.Types.Gate;
using Kind = LlamaCluster.Protos.RopeScalingMessage.Types.Kind;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Reads a model's description from the network. It takes only the tensors that a Llama of the described config has, with the shapes that the
/// config asks for. Nothing else is let through, because names become file names and shapes become sizes.
/// </summary>
static class DescriptionMapping
{
    /// <exception cref="InvalidMessageException">One line: which field or tensor, and what is wrong with it.</exception>
    public static DescribedModel ToModel(this Wire.ModelDescription message, string digest)
    {
        if (message.ModelDigest != digest) throw new InvalidMessageException($"model_digest is {Field.Digest("model_digest", message.ModelDigest)}, not {digest}");
        var wire = Field.Required("config", message.Config);
        var config = ToConfig(wire);
        if (LlamaConfigRules.FirstProblem(config) is { } problem) throw new InvalidMessageException($"config: {problem}");
        var byFactors = wire.RopeScaling?.Kind == Kind.Factors;
        var tensors = ToTensors(message.Tensors, config, byFactors);
        return new DescribedModel(
            Field.Text("model_name", message.ModelName, PlanRules.MaxNameLength), config, tensors,
            byFactors ? tensors.Single(tensor => tensor.Name == LlamaTensors.RopeFactors) : null);
    }

    static LlamaConfig ToConfig(Wire.LlamaConfigMessage message) => new()
    {
        LayerCount = Size("layer_count", message.LayerCount),
        HiddenSize = Field.Count("config.hidden_size", message.HiddenSize, 1, MessageBudgets.MaxHiddenSize),
        FfnSize = Size("ffn_size", message.FfnSize),
        HeadCount = Size("head_count", message.HeadCount),
        KvHeadCount = Size("kv_head_count", message.KvHeadCount),
        HeadSize = Size("head_size", message.HeadSize),
        VocabularySize = Size("vocabulary_size", message.VocabularySize),
        ContextLength = Size("context_length", message.ContextLength),
        RmsEpsilon = message.RmsEpsilon,
        RopeTheta = message.RopeTheta,
        RopeDimensionCount = Size("rope_dimension_count", message.RopeDimensionCount),
        RopeScaling = message.RopeScaling is { } scaling ? ToScaling(scaling) : null,
        TiedEmbeddings = message.TiedEmbeddings,
        Experts = message.Experts is { } experts ? ToExperts(experts) : null,
        Chunks = message.Chunks is { } chunks ? ToChunks(chunks) : null,
        NormsHeads = message.NormsHeads,
        QueryScale = message.QueryScale is { } scale ? ToQueryScale(scale) : null,
        Window = message.Window == 0 ? null : Size("window", message.Window),
        Biases = (AttentionBiases)Field.Count("config.attention_biases", message.AttentionBiases, 0, int.MaxValue),
    };

    static ExpertMixture ToExperts(Wire.ExpertMixtureMessage message) => new()
    {
        Count = Size("experts.count", message.Count),
        UsedCount = Size("experts.used_count", message.UsedCount),
        FfnSize = Size("experts.ffn_size", message.FfnSize),
        LayerStep = Size("experts.layer_step", message.LayerStep),
        Gate = message.Gate switch
        {
            Gate.Softmax => ExpertGate.Softmax,
            Gate.Sigmoid => ExpertGate.Sigmoid,
            _ => throw new InvalidMessageException($"config.experts.gate {(int)message.Gate} is unknown"),
        },
        HasShared = message.HasShared,
    };

    static ChunkedAttention ToChunks(Wire.ChunkedAttentionMessage message) => new(
        Size("chunks.chunk_size", message.ChunkSize), Size("chunks.full_layer_step", message.FullLayerStep));

    static QueryScale ToQueryScale(Wire.QueryScaleMessage message) => new(
        message.Growth, Size("query_scale.span", message.Span), Field.Count("config.query_scale.offset", message.Offset, 0, int.MaxValue));

    // Factors are a tensor, and read later.
    static RopeScaling? ToScaling(Wire.RopeScalingMessage message) => message.Kind switch
    {
        Kind.Linear => new RopeScaling.Linear(message.Factor),
        Kind.Llama3 => new RopeScaling.Llama3(
            message.Factor, message.LowFrequencyFactor, message.HighFrequencyFactor, Size("original_context_length", message.OriginalContextLength)),
        Kind.Yarn => new RopeScaling.Yarn(
            message.Factor, Size("original_context_length", message.OriginalContextLength), message.FastTurns, message.SlowTurns, message.Magnitude),
        Kind.Factors => null,
        _ => throw new InvalidMessageException($"config.rope_scaling.kind {(int)message.Kind} is unknown"),
    };

    static TensorInfo[] ToTensors(IReadOnlyList<Wire.TensorDescription> messages, LlamaConfig config, bool byFactors)
    {
        var described = new Dictionary<string, Wire.TensorDescription>(StringComparer.Ordinal);
        foreach (var message in messages)
            if (!described.TryAdd(message.Name, message)) throw new InvalidMessageException($"tensor {Field.Text("tensor.name", message.Name, 64)} stands there twice");
        var shapes = LlamaTensors.Of(config).Concat(byFactors ? [new TensorShape(LlamaTensors.RopeFactors, 1, config.RopeDimensionCount / 2)] : []);
        return [.. shapes.Select(shape => ToTensor(described.GetValueOrDefault(shape.Name), shape))];
    }

    static TensorInfo ToTensor(Wire.TensorDescription? message, TensorShape shape)
    {
        if (message is null) throw new InvalidMessageException($"tensor {shape.Name} is missing");
        if (message.Rows != (ulong)shape.Rows || message.Columns != (ulong)shape.Columns)
            throw new InvalidMessageException($"tensor {shape.Name} has shape [{message.Rows}, {message.Columns}], the config asks for [{shape.Rows}, {shape.Columns}]");
        var type = (TensorType)message.Type;
        if (message.Type > int.MaxValue || !Enum.IsDefined(type)) throw new InvalidMessageException($"tensor {shape.Name} is of type {message.Type}, which is unknown");
        if (shape.Columns % type.BlockSize() != 0) throw new InvalidMessageException($"tensor {shape.Name} has rows of {shape.Columns}, not whole {type} blocks");
        return new TensorInfo(shape.Name, type, shape.Rows, shape.Columns);
    }

    static int Size(string field, uint value) => Field.Count($"config.{field}", value, 1, int.MaxValue);
}

/// <summary>A model whose files are elsewhere, as the Weights service describes it.</summary>
/// <param name="Config">Complete unless <paramref name="RopeFactors"/> is set.</param>
/// <param name="Tensors">Exactly those of a Llama of this config, in the order of the forward pass.</param>
/// <param name="RopeFactors">The tensor whose data the config still lacks; null as a rule.</param>
sealed record DescribedModel(string Name, LlamaConfig Config, IReadOnlyList<TensorInfo> Tensors, TensorInfo? RopeFactors);
