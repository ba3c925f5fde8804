using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Hub;
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
        if (message.ModelDigest != digest)
            throw new InvalidMessageException($"model_digest is {Field.Digest("model_digest", message.ModelDigest)}, not {digest}");
        var wire = Field.Required("config", message.Config);
        var config = ToConfig(wire);
        if (LlamaConfigRules.FirstProblem(config) is { } problem) throw new InvalidMessageException($"config: {problem}");
        var byFactors = wire.RopeScaling?.Kind == Kind.Factors;
        var tensors = ToTensors(message.Tensors, config, byFactors);
        return new DescribedModel(
            Field.Text("model_name", message.ModelName, PlanRules.MaxNameLength), config, tensors,
            byFactors ? tensors.Single(tensor => tensor.Name == LlamaTensors.RopeFactors) : null,
            message.Hub is { } hub ? ToHub(hub, message.Tensors, tensors) : null);
    }

    static DescribedHub ToHub(Wire.HubFiles message, IReadOnlyList<Wire.TensorDescription> described, IReadOnlyList<TensorInfo> tensors)
    {
        Uri? endpoint = null;
        if (message.Endpoint.Length > 0 && (!Uri.TryCreate(message.Endpoint, UriKind.Absolute, out endpoint) || endpoint.Scheme is not ("http" or "https")))
            throw new InvalidMessageException("hub.endpoint is not an address like https://hub.example.org/");
        if (!HubNames.IsRepository(message.Repository)) throw new InvalidMessageException("hub.repository is not of the form ORG/REPO");
        if (!HubNames.IsHex(message.Commit, HubNames.GitCharacters)) throw new InvalidMessageException("hub.commit is not 40 digits of lower-case hex");
        if (!message.Files.All(HubNames.IsFile)) throw new InvalidMessageException("hub.files names what is no file of a repository");
        var places = described.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        return new DescribedHub(endpoint, message.Repository, message.Commit, tensors.Select(tensor => (tensor, place: places[tensor.Name]))
            .Where(at => at.place.HubFile > 0)
            .ToDictionary(at => at.tensor.Name, at => PlaceOf(at.tensor, at.place, message.Files), StringComparer.Ordinal));
    }

    static TensorPlace PlaceOf(TensorInfo tensor, Wire.TensorDescription place, IReadOnlyList<string> files)
    {
        if (place.HubFile > files.Count) throw new InvalidMessageException($"hub_file of tensor {tensor.Name} is {place.HubFile}, of {files.Count}");
        return new TensorPlace(
            files[(int)place.HubFile - 1], Field.Bytes($"hub_offset of tensor {tensor.Name}", place.HubOffset, long.MaxValue - tensor.Bytes));
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
        Sizes = message.Sizes.Count == 0 ? null : new SizesOfLayers(message.Sizes.Select(ToSizes)),
        Biases = (AttentionBiases)Field.Count("config.attention_biases", message.AttentionBiases, 0, int.MaxValue),
    };

    static LayerSizes ToSizes(Wire.LayerSizesMessage message) => new(
        Field.Count("config.sizes.head_count", message.HeadCount, 0, int.MaxValue),
        Field.Count("config.sizes.kv_head_count", message.KvHeadCount, 0, int.MaxValue),
        Field.Count("config.sizes.ffn_size", message.FfnSize, 0, int.MaxValue));

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
            if (!described.TryAdd(message.Name, message))
                throw new InvalidMessageException($"tensor {Field.Text("tensor.name", message.Name, 64)} stands there twice");
        var shapes = LlamaTensors.Of(config).Concat(byFactors ? [new TensorShape(LlamaTensors.RopeFactors, 1, config.RopeDimensionCount / 2)] : []);
        return [.. shapes.Select(shape => ToTensor(described.GetValueOrDefault(shape.Name), shape))];
    }

    static TensorInfo ToTensor(Wire.TensorDescription? message, TensorShape shape)
    {
        if (message is null) throw new InvalidMessageException($"tensor {shape.Name} is missing");
        if (message.Rows != (ulong)shape.Rows || message.Columns != (ulong)shape.Columns)
            throw new InvalidMessageException(
                $"tensor {shape.Name} has shape [{message.Rows}, {message.Columns}], the config asks for [{shape.Rows}, {shape.Columns}]");
        var type = (TensorType)message.Type;
        if (message.Type > int.MaxValue || !Enum.IsDefined(type))
            throw new InvalidMessageException($"tensor {shape.Name} is of type {message.Type}, which is unknown");
        if (shape.Columns % type.BlockSize() != 0)
            throw new InvalidMessageException($"tensor {shape.Name} has rows of {shape.Columns}, not whole {type} blocks");
        return new TensorInfo(shape.Name, type, shape.Rows, shape.Columns);
    }

    static int Size(string field, uint value) => Field.Count($"config.{field}", value, 1, int.MaxValue);
}

/// <summary>A model whose files are elsewhere, as the Weights service describes it.</summary>
/// <param name="Config">Complete unless <paramref name="RopeFactors"/> is set.</param>
/// <param name="Tensors">Exactly those of a Llama of this config, in the order of the forward pass.</param>
/// <param name="RopeFactors">The tensor whose data the config still lacks; null as a rule.</param>
/// <param name="Hub">Where tensors can be fetched from as well; null: nowhere.</param>
sealed record DescribedModel(string Name, LlamaConfig Config, IReadOnlyList<TensorInfo> Tensors, TensorInfo? RopeFactors, DescribedHub? Hub = null);

/// <summary>The repository of a hub that has a model's tensors.</summary>
/// <param name="Endpoint">Of the coordinator's hub. Null: it does not say.</param>
/// <param name="Places">
/// By the tensors' names: in which file of the repository they stand, and where. Those that do not stand there as they are have no place.
/// </param>
sealed record DescribedHub(Uri? Endpoint, string Repository, string Commit, IReadOnlyDictionary<string, TensorPlace> Places);
