using System.Text.Json;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>What adapter_config.json says of a LoRA: https://huggingface.co/docs/peft/package_reference/lora. What would compute something else is refused.</summary>
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
    }

    public static PeftSettings Read(string path) => new(JsonFile.Read(path));

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
        if (fields.FindStrings("modules_to_save") is { Length: > 0 } saved)
            throw fields.Error("modules_to_save", $"has {ErrorText.Quote(saved[0])}: the adapter brings whole matrices, as those with a vocabulary of their own do, "
                + "which is not supported: merge it into its model, and serve that");
        if (fields.KindOf(Start) is JsonValueKind.String && fields.GetString(Start) is var start && OtherBases.Any(kind => start.StartsWith(kind, StringComparison.Ordinal)))
            throw fields.Error(Start, $"is {ErrorText.Quote(start)}: the adapter belongs to a changed model; let PEFT convert it to a plain LoRA when it saves it");
        foreach (var name in (ReadOnlySpan<string>)["layer_replication", "trainable_token_indices", "target_parameters"])
            if (fields.KindOf(name) is not JsonValueKind.Undefined && !IsEmptyArray(fields, name)) throw fields.Error(name, "is not supported; plain LoRA is");
    }

    static bool IsEmptyArray(JsonFields fields, string name) => fields.KindOf(name) is JsonValueKind.Array && fields.FindStrings(name) is { Length: 0 };

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
