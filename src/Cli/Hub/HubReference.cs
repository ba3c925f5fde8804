using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Hub;

/// <summary>A model on a hub, as users write it: <c>hf://ORG/REPO[@REVISION][:VARIANT]</c>.</summary>
/// <param name="Repository">ORG/REPO.</param>
/// <param name="Revision">A branch, tag or commit.</param>
/// <param name="Variant">Which of several GGUF files: a quantisation such as Q4_K_M, or a file's name; "safetensors" for the folder. Null: not said.</param>
sealed record HubReference(string Repository, string Revision, string? Variant)
{
    public const string Form = "hf://ORG/REPO[@REVISION][:QUANT]";

    const string Prefix = "hf://";
    const string UsualRevision = "main";
    const int MostCharacters = 200;

    public static bool Is(string model) => model.StartsWith(Prefix, StringComparison.Ordinal);

    /// <exception cref="InvalidOptionsException">It is not of that form.</exception>
    public static HubReference Parse(string model) =>
        TryParse(model, out var reference) ? reference : throw new InvalidOptionsException($"{model} must be {Form}");

    public override string ToString() =>
        $"{Prefix}{Repository}{(Revision == UsualRevision ? "" : $"@{Revision}")}{(Variant is null ? "" : $":{Variant}")}";

    /// <summary>All parts become parts of addresses and of file names, so they have only letters that are harmless in both.</summary>
    static bool TryParse(string model, [NotNullWhen(true)] out HubReference? reference)
    {
        reference = null;
        if (!Is(model) || model.Length > MostCharacters) return false;
        var (rest, variant) = model[Prefix.Length..].Split(':') switch
        {
            [var all] => (all, null),
            [var before, { Length: > 0 } after] => (before, after),
            _ => ("", null),
        };
        var (repository, revision) = rest.Split('@') switch
        {
            [var all] => (all, UsualRevision),
            [var before, var after] => (before, after),
            _ => ("", ""),
        };
        if (!HubNames.IsRepository(repository) || !revision.Split('/').All(HubNames.IsPart) || variant?.Split('/').All(HubNames.IsPart) is false) return false;
        reference = new HubReference(repository, revision, variant);
        return true;
    }
}
