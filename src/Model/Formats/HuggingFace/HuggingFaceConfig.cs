using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Reads a Llama's config from config.json, in the forms that the transformers library has written since Llama 1, with its
/// defaults (https://huggingface.co/docs/transformers/model_doc/llama, mixtral, llama4); refuses, by name, what this program would compute wrongly.
/// </summary>
/// <param name="file">The outermost object of the file.</param>
sealed class HuggingFaceConfig(JsonFields file)
{
    /// <summary>Models of Llama's layers, which may see the last positions only.</summary>
    const string Mistral = "mistral";

    /// <summary>Mistral's models of which one part sees images.</summary>
    const string WithImages = "mistral3";

    /// <summary>Those of Mistral 3, whose queries grow with their position.</summary>
    const string Ministral = "ministral3";

    /// <summary>What Mistral's files mean that do not mention it.</summary>
    const int UsualWindow = 4096;

    /// <summary>The text model's fields: those of the file, or of a part of it where the model sees images too.</summary>
    readonly JsonFields _fields = TextPart(file);

    public HuggingFaceFamily Family { get; } = FamilyOf(file);

    /// <summary>How matrices of few bits are stored. Null: there are none.</summary>
    public HuggingFaceQuantization? Quantization { get; } = HuggingFaceQuantization.Find(file, TextPart(file));

    /// <summary>The fields that are about text.</summary>
    public static JsonFields TextPart(JsonFields file) => file.FindString("model_type") is "llama4" or WithImages ? file.GetObject("text_config") : file;

    public LlamaConfig Read()
    {
        RefuseOthers();
        var heads = _fields.GetInt32("num_attention_heads");
        var headSize = _fields.FindInt32("head_dim") ?? DividedHeadSize(heads);
        var theta = Family switch { HuggingFaceFamily.Mixtral => 1_000_000, HuggingFaceFamily.Llama4 => 500_000, _ => IsMinistral ? 1_000_000 : 10_000 };
        var context = _fields.FindInt32("max_position_embeddings") ?? _fields.FindInt32("max_sequence_length") ?? 2048;
        var rope = new HuggingFaceRope(_fields, theta, context);
        var layers = _fields.GetInt32("num_hidden_layers");
        var each = Family is HuggingFaceFamily.Nemotron ? new HuggingFaceBlocks(_fields).Sizes(layers, heads) : null;
        var config = new LlamaConfig
        {
            LayerCount = layers,
            HiddenSize = _fields.GetInt32("hidden_size"),
            FfnSize = each?.Greatest.FfnSize ?? _fields.GetInt32(Family is HuggingFaceFamily.Llama4 ? "intermediate_size_mlp" : "intermediate_size"),
            HeadCount = heads,
            KvHeadCount = each?.Greatest.KvHeadCount ?? _fields.FindInt32("num_key_value_heads") ?? heads,
            HeadSize = headSize,
            VocabularySize = _fields.GetInt32("vocab_size"),
            ContextLength = context,
            RmsEpsilon = _fields.FindSingle("rms_norm_eps") ?? (Family is HuggingFaceFamily.Llama ? 1e-6f : 1e-5f),
            RopeTheta = rope.Theta(),
            RopeDimensionCount = headSize,
            RopeScaling = rope.Scaling(),
            Sizes = each?.UnlessAlike(),
            Window = Family is HuggingFaceFamily.Llama4 ? null : Window(context),
            QueryScale = IsMinistral ? rope.Growth() : null,
            Biases = _fields.FindBoolean("attention_bias") is true ? AttentionBiases.Inputs | AttentionBiases.Output : AttentionBiases.None,
            TiedEmbeddings = _fields.FindBoolean("tie_word_embeddings") ?? false,
        };
        config = Family switch
        {
            HuggingFaceFamily.Mixtral => new HuggingFaceExperts(_fields).Mixtral(config),
            HuggingFaceFamily.Llama4 => new HuggingFaceExperts(_fields).Llama4(config),
            _ => config,
        };
        return LlamaConfigRules.FirstProblem(config) is { } problem ? throw new ModelFormatException($"{_fields.Path}: {problem}") : config;
    }

    bool IsMinistral => _fields.FindString("model_type") is Ministral;

    void RefuseOthers()
    {
        foreach (var architecture in file.FindStrings("architectures") ?? [])
            if (!HuggingFaceFamilies.Architectures.Contains(architecture))
                throw file.Error(
                    "architectures",
                    $"has {ErrorText.Quote(architecture)}, which is not supported; {string.Join(", ", HuggingFaceFamilies.Architectures)} are");
        if (_fields.FindString("hidden_act") is { } activation and not ("silu" or "swish"))
            throw _fields.Error("hidden_act", $"is {ErrorText.Quote(activation)}; only 'silu' is supported");
        if (_fields.FindBoolean("mlp_bias") is true)
            throw _fields.Error("mlp_bias", "is true; biases of attention are supported, those of the feed-forward are not");
        string[] others = Family is HuggingFaceFamily.Llama ? ["num_local_experts", "num_experts"] : ["num_experts"];
        foreach (var other in others)
            if (_fields.FindInt32(other) is > 0 and var value) throw _fields.Error(other, $"is {value}, which is not supported");
    }

    /// <summary>A window as long as the context hides nothing. Mistral's files that do not mention theirs have one of 4096; Llamas have none.</summary>
    int? Window(int context)
    {
        var isMistral = _fields.FindString("model_type") is Mistral;
        var window = _fields.FindInt32("sliding_window") ?? (isMistral && !_fields.Mentions("sliding_window") ? UsualWindow : 0);
        if (window == 0 || window >= context) return null;
        if (!isMistral && !IsMinistral && Family is not HuggingFaceFamily.Mixtral)
            throw _fields.Error(
                "sliding_window",
                $"is {window}, which is not supported for model_type {ErrorText.Quote(_fields.GetString("model_type"))}; "
                + "it is for 'mistral', 'ministral3' and 'mixtral'");
        if (_fields.FindStrings("layer_types") is { Length: > 0 } types && types.Any(type => type is not "sliding_attention"))
            throw _fields.Error("layer_types", "are not all 'sliding_attention'; only windows in all layers or in none are supported");
        return window;
    }

    static HuggingFaceFamily FamilyOf(JsonFields file) => TextPart(file).GetString("model_type") switch
    {
        "llama" => HuggingFaceFamily.Llama,
        Mistral => file.FindString("model_type") is WithImages ? HuggingFaceFamily.Mistral3 : HuggingFaceFamily.Llama,
        Ministral => HuggingFaceFamily.Mistral3,
        "mixtral" => HuggingFaceFamily.Mixtral,
        "llama4_text" => HuggingFaceFamily.Llama4,
        "nemotron-nas" => HuggingFaceFamily.Nemotron,
        var other => throw TextPart(file).Error(
            "model_type",
            $"is {ErrorText.Quote(other)}, which is not supported; "
            + "'llama', 'mistral', 'mistral3', 'ministral3', 'mixtral', 'llama4', 'llama4_text' and 'nemotron-nas' are"),
    };

    int DividedHeadSize(int heads)
    {
        var hidden = _fields.GetInt32("hidden_size");
        return heads > 0 && hidden % heads == 0
            ? hidden / heads
            : throw _fields.Error("num_attention_heads", $"is {heads}, which does not divide hidden_size {hidden}");
    }
}
