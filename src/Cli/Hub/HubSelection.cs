using System.Text.RegularExpressions;
using LlamaCluster.Cluster.Hub;

namespace LlamaCluster.Cli.Hub;

/// <summary>The files of a repository that make a model.</summary>
/// <param name="Model">The file to open, the first part if there are several; "" for the folder.</param>
sealed record HubChoice(IReadOnlyList<HubFile> Files, string Model)
{
    public long Bytes => Files.Sum(file => file.Size);
}

/// <summary>Chooses a model among the files of a repository: one of its GGUF files, in however many parts, or the folder of safetensors.</summary>
static partial class HubSelection
{
    /// <summary>The variant that means the folder.</summary>
    public const string Safetensors = "safetensors";

    /// <summary>What is taken of several if nothing is said, as other programs do.</summary>
    const string Usual = "Q4_K_M";

    const string Gguf = ".gguf";

    /// <summary>What a folder is read from beside safetensors.</summary>
    static readonly string[] FolderFiles =
    [
        "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
        "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "1_Pooling/config.json",
    ];

    /// <exception cref="HubException">There is no such model, or several; the message says which there are.</exception>
    public static HubChoice Choose(HubReference reference, IReadOnlyList<HubFile> files)
    {
        var models = files.Where(file => file.Name.EndsWith(Gguf, StringComparison.OrdinalIgnoreCase) && !IsBeside(file.Name))
            .GroupBy(file => Parts().Replace(file.Name, ""), StringComparer.Ordinal).ToList();
        if (models.Count == 0 || reference.Variant == Safetensors) return Folder(reference, files);
        var matching = reference.Variant is { } variant ? Matching(models, variant)
            : models.Count == 1 ? models
            : Matching(models, Usual);
        if (matching.Count == 1) return Whole(reference, [.. matching[0].OrderBy(file => file.Name, StringComparer.Ordinal)]);
        var names = string.Join(", ", models.Select(model => model.Key[..^Gguf.Length]).Order(StringComparer.Ordinal));
        throw new HubException(
            reference.Variant is null ? $"{reference} has {models.Count} models: add :QUANT or :FILE of one of {names}"
            : matching.Count == 0 ? $"{reference}: there is no such model; there are {names}"
            : $"{reference}: {matching.Count} models are called so: give :FILE of one of {names}");
    }

    /// <summary>By the file's name, else by a word in it or in its folder's: Q4_K_M is no word of UD-Q4_K_M_L.</summary>
    static List<IGrouping<string, HubFile>> Matching(List<IGrouping<string, HubFile>> models, string variant)
    {
        var named = models.Where(model => IsNamed(model.Key, variant) || model.Any(file => IsNamed(file.Name, variant))).ToList();
        return named.Count > 0 ? named : models.Where(model => HasWord(model.Key, variant)).ToList();
    }

    static bool IsNamed(string file, string variant) =>
        file.Equals(variant, StringComparison.OrdinalIgnoreCase) || file.Equals(variant + Gguf, StringComparison.OrdinalIgnoreCase)
        || Path.GetFileName(file).Equals(variant, StringComparison.OrdinalIgnoreCase)
        || Path.GetFileName(file).Equals(variant + Gguf, StringComparison.OrdinalIgnoreCase);

    static bool HasWord(string model, string variant)
    {
        const StringComparison anyCase = StringComparison.OrdinalIgnoreCase;
        for (var at = model.IndexOf(variant, anyCase); at >= 0; at = model.IndexOf(variant, at + 1, anyCase))
            if (IsBorder(model, at - 1) && IsBorder(model, at + variant.Length)) return true;
        return false;
    }

    static bool IsBorder(string model, int at) => at < 0 || at >= model.Length || model[at] is '-' or '.' or '/';

    /// <summary>What stands beside models and is none: projectors of images, and what was measured to quantise.</summary>
    static bool IsBeside(string name) =>
        Path.GetFileName(name).StartsWith("mmproj", StringComparison.OrdinalIgnoreCase) || name.Contains("imatrix", StringComparison.OrdinalIgnoreCase);

    static HubChoice Whole(HubReference reference, HubFile[] parts)
    {
        if (Parts().Match(parts[0].Name) is { Success: true } part)
        {
            var count = int.Parse(part.Groups["count"].Value, System.Globalization.CultureInfo.InvariantCulture);
            if (parts.Length != count) throw new HubException($"{reference}: the repository has {parts.Length} of the {count} parts of {parts[0].Name}");
        }
        return new HubChoice(parts, parts[0].Name);
    }

    static HubChoice Folder(HubReference reference, IReadOnlyList<HubFile> files)
    {
        var weights = files.Where(file => IsWeights(file.Name)).ToList();
        var others = files.Where(file => FolderFiles.Contains(file.Name)).ToList();
        return weights.Count > 0 && others.Exists(file => file.Name == "config.json")
            ? new HubChoice([.. others, .. weights], "")
            : throw new HubException($"{reference} has neither GGUF files nor a config.json with safetensors: it is no model that can be run");
    }

    /// <summary>Not those in folders, and not Mistral's own form of the same weights.</summary>
    static bool IsWeights(string name) =>
        !name.Contains('/') && name.EndsWith(".safetensors", StringComparison.Ordinal) && !name.StartsWith("consolidated", StringComparison.Ordinal);

    [GeneratedRegex(@"-\d{5}-of-(?<count>\d{5})(?=\.gguf$)", RegexOptions.IgnoreCase)]
    private static partial Regex Parts();
}
