using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Reads a Llama's config from GGUF metadata (keys <c>llama.*</c>, <c>llama4.*</c>, <c>mistral3.*</c>, <c>deci.*</c>) and refuses, by name, what this
/// program would compute wrongly.
/// </summary>
sealed class GgufConfig
{
    /// <summary>
    /// Models of so many experts are Maverick, the only Llama 4 whose heads are not normed; its files do not say so, and llama.cpp goes by this.
    /// </summary>
    internal const int ExpertsWithoutNorms = 128;

    const float DefaultRopeTheta = 10_000;

    readonly GgufMetadata _metadata;
    readonly string _architecture;
    readonly GgufRope _rope;

    public GgufConfig(GgufMetadata metadata)
    {
        (_metadata, _architecture) = (metadata, ArchitectureOf(metadata));
        _rope = new GgufRope(metadata, _architecture);
    }

    /// <param name="vocabularySize">Rows of the embedding.</param>
    /// <param name="ropeDivisors">Content of <c>rope_freqs.weight</c>, if the file has it.</param>
    /// <param name="tied">The file has no <c>output.weight</c>.</param>
    /// <param name="biases">Those that the file has tensors of.</param>
    public LlamaConfig Read(int vocabularySize, IReadOnlyList<float>? ropeDivisors, bool tied, AttentionBiases biases = AttentionBiases.None)
    {
        RefuseOthers();
        var layers = _metadata.GetInt32(Key("block_count"));
        var each = _architecture == GgufArchitectures.Deci ? SizesOf(layers) : null;
        var headCount = each?.Greatest.HeadCount ?? _metadata.GetInt32(Key("attention.head_count"));
        var headSize = HeadSize(headCount);
        return new LlamaConfig
        {
            LayerCount = layers,
            HiddenSize = _metadata.GetInt32(Key("embedding_length")),
            FfnSize = each?.Greatest.FfnSize ?? _metadata.GetInt32(Key("feed_forward_length")),
            HeadCount = headCount,
            KvHeadCount = each?.Greatest.KvHeadCount ?? (_metadata.TryGetInt32(Key("attention.head_count_kv"), out var kvHeads) ? kvHeads : headCount),
            HeadSize = headSize,
            VocabularySize = vocabularySize,
            ContextLength = _metadata.GetInt32(Key("context_length")),
            RmsEpsilon = _metadata.GetSingle(Key("attention.layer_norm_rms_epsilon")),
            RopeTheta = _metadata.TryGetSingle(Key("rope.freq_base"), out var theta) ? theta : DefaultRopeTheta,
            RopeDimensionCount = _metadata.TryGetInt32(Key("rope.dimension_count"), out var rotated) ? rotated : headSize,
            RopeScaling = _rope.Scaling(ropeDivisors),
            Sizes = each?.UnlessAlike(),
            Biases = biases,
            TiedEmbeddings = tied,
            Experts = IsLlama4 ? Llama4Experts() : Experts(),
            Chunks = IsLlama4 ? ChunkedAttention.Llama4 : null,
            QueryScale = IsLlama4 ? QueryScale.Llama4 : Growth(),
            Window = IsLlama4 ? null : Window(),
            NormsHeads = IsLlama4 && _metadata.GetInt32(Key("expert_count")) != ExpertsWithoutNorms,
        };
    }

    /// <summary>A number is every layer's, of an array each has its own.</summary>
    SizesOfLayers SizesOf(int layers)
    {
        var heads = Of("attention.head_count");
        var kvHeads = _metadata.Contains(Key("attention.head_count_kv")) ? Of("attention.head_count_kv") : heads;
        var ffn = Of("feed_forward_length");
        return new SizesOfLayers(heads.Zip(kvHeads, ffn).Select(layer => new LayerSizes(layer.First, layer.Second, layer.Third)));

        int[] Of(string name)
        {
            if (!_metadata.IsArray(Key(name))) return [.. Enumerable.Repeat(_metadata.GetInt32(Key(name)), Math.Clamp(layers, 0, LlamaConfigRules.MaxLayers))];
            var values = _metadata.GetInt32s(Key(name));
            return values.Length == layers ? values : throw _metadata.Error(Key(name), $"has {values.Length} numbers for {layers} layers");
        }
    }

    bool IsLlama4 => _architecture == GgufArchitectures.Llama4;

    string Key(string name) => $"{_architecture}.{name}";

    /// <summary>Refuses files of another architecture, and what is no model.</summary>
    static string ArchitectureOf(GgufMetadata metadata)
    {
        if (metadata.TryGetString("general.type", out var type) && type != "model")
            throw metadata.Error("general.type", $"is {ErrorText.Quote(type)}; only a whole model can be run");
        var architecture = metadata.GetString("general.architecture");
        return GgufArchitectures.All.Contains(architecture)
            ? architecture
            : throw metadata.Error(
                "general.architecture", $"is {ErrorText.Quote(architecture)}, which is not supported; {string.Join(", ", GgufArchitectures.All)} are");
    }

    void RefuseOthers()
    {
        if (IsLlama4) RefuseOtherChunks();
        else if (_metadata.Contains(Key("attention.sliding_window_pattern")))
            throw _metadata.Error(Key("attention.sliding_window_pattern"), "is there; only windows in all layers or in none are supported");
        if (_metadata.TryGetBoolean(Key("attention.causal"), out var causal) && !causal)
            throw _metadata.Error(Key("attention.causal"), "is false; only causal attention is supported");
        foreach (var key in (string[])[Key("attention.scale"), Key("logit_scale"), Key("embedding_scale"), Key("residual_scale")])
            if (_metadata.TryGetSingle(key, out var scale)) throw _metadata.Error(key, $"is {scale}; models with their own scale are not supported");
    }

    // Files say nothing of chunks as long as they are Llama 4's own.
    void RefuseOtherChunks()
    {
        var chunks = ChunkedAttention.Llama4;
        if (_metadata.TryGetInt32(Key("attention.sliding_window"), out var window) && window != chunks.ChunkSize)
            throw _metadata.Error(Key("attention.sliding_window"), $"is {window}; only attention in chunks of {chunks.ChunkSize} is supported");
        if (_metadata.TryGetInt32(Key("attention.sliding_window_pattern"), out var step) && step != chunks.FullLayerStep)
            throw _metadata.Error(
                Key("attention.sliding_window_pattern"), $"is {step}; only a full layer after every {chunks.FullLayerStep - 1} of chunks is supported");
    }

    /// <summary>Mixtral's, or none.</summary>
    ExpertMixture? Experts() => _metadata.TryGetInt32(Key("expert_count"), out var count) && count != 0
        ? new ExpertMixture
        {
            Count = count,
            UsedCount = _metadata.GetInt32(Key("expert_used_count")),
            FfnSize = _metadata.GetInt32(Key("feed_forward_length")),
            LayerStep = 1,
            Gate = ExpertGate.Softmax,
            HasShared = false,
        }
        : null;

    ExpertMixture Llama4Experts() => new()
    {
        Count = _metadata.GetInt32(Key("expert_count")),
        UsedCount = _metadata.GetInt32(Key("expert_used_count")),
        FfnSize = _metadata.GetInt32(Key("expert_feed_forward_length")),
        LayerStep = _metadata.GetInt32(Key("interleave_moe_layer_step")),
        Gate = ExpertGate.Sigmoid,
        HasShared = true,
    };

    /// <summary>Mistral 3's. Its span is the context that the model was first trained on.</summary>
    QueryScale? Growth()
    {
        if (!_metadata.TryGetSingle(Key("attention.temperature_scale"), out var growth) || growth is 0) return null;
        var span = _rope.OriginalContextLength;
        if (_metadata.TryGetInt32(Key("attention.temperature_length"), out var length) && length != span)
            throw _metadata.Error(
                Key("attention.temperature_length"), $"is {length}; only that of {Key("rope.scaling.original_context_length")}, {span}, is supported");
        return new QueryScale(growth, span, Offset: 0);
    }

    /// <summary>A window as long as the context hides nothing.</summary>
    int? Window() => _metadata.TryGetInt32(Key("attention.sliding_window"), out var window) && window != 0 && window < _metadata.GetInt32(Key("context_length"))
        ? window
        : null;

    int HeadSize(int headCount)
    {
        var hasKeyLength = _metadata.TryGetInt32(Key("attention.key_length"), out var keyLength);
        if (!hasKeyLength)
        {
            var hidden = _metadata.GetInt32(Key("embedding_length"));
            if (headCount <= 0 || hidden % headCount != 0)
                throw _metadata.Error(Key("attention.head_count"), $"is {headCount}, which does not divide {Key("embedding_length")} {hidden}");
            keyLength = hidden / headCount;
        }
        if (_metadata.TryGetInt32(Key("attention.value_length"), out var valueLength) && valueLength != keyLength)
            throw _metadata.Error(
                Key("attention.value_length"), $"is {valueLength}; only heads with keys and values of one length ({keyLength}) are supported");
        return keyLength;
    }
}

/// <summary>Names of <c>general.architecture</c>, with which a model's keys begin.</summary>
static class GgufArchitectures
{
    /// <summary>Llama 1 to 3, and Mixtral.</summary>
    public const string Llama = "llama";

    public const string Llama4 = "llama4";

    /// <summary>Llama's layers, whose queries may grow with their position.</summary>
    public const string Mistral3 = "mistral3";

    /// <summary>Llama's layers that differ in size, or lack a part: Nemotron.</summary>
    public const string Deci = "deci";

    public static IReadOnlyList<string> All { get; } = [Llama, Llama4, Mistral3, Deci];
}

/// <summary>Writes a Llama's config as GGUF metadata, the keys that <see cref="GgufConfig"/> reads.</summary>
public static class GgufConfigWriter
{
    /// <param name="config">Its RoPE scaling must be one that GGUF has: none, linear, YaRN's, or stored divisors.</param>
    public static void Write(GgufPairs pairs, LlamaConfig config)
    {
        var architecture = ArchitectureOf(config);
        string Key(string name) => $"{architecture}.{name}";
        pairs.Set("general.architecture", architecture);
        pairs.Set(Key("block_count"), (uint)config.LayerCount);
        pairs.Set(Key("context_length"), (uint)config.ContextLength);
        pairs.Set(Key("embedding_length"), (uint)config.HiddenSize);
        if (config.Sizes is { } sizes)
        {
            pairs.Set(Key("feed_forward_length"), [.. sizes.Select(layer => layer.FfnSize)]);
            pairs.Set(Key("attention.head_count"), [.. sizes.Select(layer => layer.HeadCount)]);
            pairs.Set(Key("attention.head_count_kv"), [.. sizes.Select(layer => layer.KvHeadCount)]);
        }
        else
        {
            pairs.Set(Key("feed_forward_length"), (uint)config.FfnSize);
            pairs.Set(Key("attention.head_count"), (uint)config.HeadCount);
            pairs.Set(Key("attention.head_count_kv"), (uint)config.KvHeadCount);
        }
        pairs.Set(Key("attention.key_length"), (uint)config.HeadSize);
        pairs.Set(Key("attention.value_length"), (uint)config.HeadSize);
        pairs.Set(Key("attention.layer_norm_rms_epsilon"), config.RmsEpsilon);
        pairs.Set(Key("rope.dimension_count"), (uint)config.RopeDimensionCount);
        pairs.Set(Key("rope.freq_base"), config.RopeTheta);
        pairs.Set(Key("vocab_size"), (uint)config.VocabularySize);
        if (config.Window is { } window) pairs.Set(Key("attention.sliding_window"), (uint)window);
        if (architecture is GgufArchitectures.Mistral3) pairs.Set(Key("attention.temperature_scale"), config.QueryScale!.Growth);
        GgufRope.WriteScaling(pairs, config.RopeScaling, architecture);
        if (config.Experts is not { } experts) return;
        pairs.Set(Key("expert_count"), (uint)experts.Count);
        pairs.Set(Key("expert_used_count"), (uint)experts.UsedCount);
        if (architecture is not GgufArchitectures.Llama4) return;
        pairs.Set(Key("expert_feed_forward_length"), (uint)experts.FfnSize);
        pairs.Set(Key("interleave_moe_layer_step"), (uint)experts.LayerStep);
    }

    static int OriginalContext(LlamaConfig config) => config.RopeScaling is RopeScaling.Yarn yarn ? yarn.OriginalContextLength : config.ContextLength;

    /// <summary>The architecture of models with such layers. GGUF has keys for those of Mixtral, of Llama 4 and of Nemotron only.</summary>
    static string ArchitectureOf(LlamaConfig config) => config switch
    {
        { Sizes: not null } => config is { Chunks: null, NormsHeads: false, Experts: null, QueryScale: null, Window: null }
            ? GgufArchitectures.Deci
            : throw new ModelFormatException("GGUF has no keys for layers that differ in size and have another attention than Llama's"),
        { Chunks: null, NormsHeads: false, Experts: null or { Gate: ExpertGate.Softmax, HasShared: false, LayerStep: 1 } } =>
            config.QueryScale is null ? GgufArchitectures.Llama
            : config.QueryScale.Offset == 0 && config.QueryScale.Span == OriginalContext(config) ? GgufArchitectures.Mistral3
            : throw new ModelFormatException("GGUF has no key for the span after which queries grow, unless it is the context before RoPE scaling"),
        { Experts: { Gate: ExpertGate.Sigmoid, HasShared: true } experts } when config.Chunks == ChunkedAttention.Llama4
            && config.QueryScale == QueryScale.Llama4 && config.NormsHeads == (experts.Count != GgufConfig.ExpertsWithoutNorms) => GgufArchitectures.Llama4,
        _ => throw new ModelFormatException("GGUF has no keys for layers of this kind: they are neither Mixtral's nor Llama 4's nor Nemotron's"),
    };
}
