using System.Text.Json;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>
/// What adapter_config.json says of a LoRA: https://huggingface.co/docs/peft/package_reference/lora. What would compute something else is refused.
/// </summary>
sealed class PeftSettings
{
    /// <summary>Patterns are looked through for every target.</summary>
    const int MostPatterns = 4096;

    const string Start = "init_lora_weights";

    /// <summary>Ways to begin training that change the model's own matrices, so that the adapter alone is not what was trained.</summary>
    static readonly string[] OtherBases = ["pissa", "olora", "corda"];

    readonly float _alpha;
    readonly bool _byRoot;
    readonly (string Name, int Number)[] _alphas;

    PeftSettings(JsonFields fields)
    {
        RefuseOthers(fields);
        _alpha = fields.GetSingle("lora_alpha");
        _byRoot = fields.FindBoolean("use_rslora") ?? false;
        _alphas = PatternsOf(fields, "alpha_pattern");
        PatternsOf(fields, "rank_pattern");   // ranks are what the tensors have
        Saved = [.. (fields.FindStrings("modules_to_save") ?? []).Select(module => SavedTensor(fields, module))];
        TiesHead = fields.FindBoolean("ensure_weight_tying") ?? false;
    }

    public static PeftSettings Read(string path) => new(JsonFile.Read(path));

    /// <summary>The transformers library's names of the matrices that the adapter brings whole.</summary>
    public IReadOnlyList<string> Saved { get; }

    /// <summary>Where the model's head is its embedding, the adapter's is too.</summary>
    public bool TiesHead { get; }

    /// <param name="tensor">The transformers library's name of a matrix, with <c>.weight</c>.</param>
    public float ScaleOf(string tensor, int rank)
    {
        var module = tensor[..^".weight".Length];
        var alpha = _alpha;
        foreach (var (name, number) in _alphas)
            if (module == name || module.EndsWith($".{name}", StringComparison.Ordinal))
            {
                alpha = number;
                break;
            }
        return _byRoot ? alpha / MathF.Sqrt(rank) : alpha / rank;
    }

    static void RefuseOthers(JsonFields fields)
    {
        if (fields.GetString("peft_type") is not "LORA" and var type) throw fields.Error("peft_type", $"is {ErrorText.Quote(type)}; only LORA is supported");
        foreach (var name in (ReadOnlySpan<string>)["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"])
            if (fields.FindBoolean(name) is true) throw fields.Error(name, "is true, which is not supported; plain LoRA is");
        if (fields.FindString("bias") is not (null or "none") and var bias) throw fields.Error("bias", $"is {ErrorText.Quote(bias)}; only none is supported");
        if (fields.KindOf(Start) is JsonValueKind.String && fields.GetString(Start) is var start
            && OtherBases.Any(kind => start.StartsWith(kind, StringComparison.Ordinal)))
            throw fields.Error(
                Start, $"is {ErrorText.Quote(start)}: the adapter belongs to a changed model; let PEFT convert it to a plain LoRA when it saves it");
        foreach (var name in (ReadOnlySpan<string>)["layer_replication", "trainable_token_indices", "target_parameters"])
            if (fields.KindOf(name) is not JsonValueKind.Undefined && !IsEmptyArray(fields, name))
                throw fields.Error(
                    name, "is not supported; plain LoRA is, and whole matrices of embedding and head (modules_to_save): or merge the adapter into its model");
    }

    static string SavedTensor(JsonFields fields, string module) => module[(module.LastIndexOf('.') + 1)..] switch
    {
        "embed_tokens" => "model.embed_tokens.weight",
        "lm_head" => "lm_head.weight",
        _ => throw fields.Error(
            "modules_to_save",
            $"has {ErrorText.Quote(module)}; only embed_tokens and lm_head can be brought whole: merge the adapter into its model, and serve that"),
    };

    static bool IsEmptyArray(JsonFields fields, string name) => fields.KindOf(name) is JsonValueKind.Array && fields.CountOf(name) == 0;

    /// <summary>PEFT takes the names for regular expressions that a module's name must end with. Plain names mean the same either way.</summary>
    static (string Name, int Number)[] PatternsOf(JsonFields fields, string field)
    {
        if (fields.FindObject(field) is not { } patterns) return [];
        (string Name, int Number)[] all = [.. patterns.Int32s()];
        if (all.Length > MostPatterns) throw fields.Error(field, $"has {all.Length} entries; at most {MostPatterns} are allowed");
        foreach (var (name, _) in all)
            if (name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('.' or '_' or '-')))
                throw fields.Error(field, $"has the expression {ErrorText.Quote(name)}; only names of modules are supported");
        return all;
    }
}
