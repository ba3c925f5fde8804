using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using LlamaCluster.Testing;
using YamlDotNet.Core;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>
/// Checks objects against what the API server knows: Kubernetes' own kinds against the typed models of its .NET client, custom ones against their published
/// definitions in the shared folder. An unknown field is a problem.
/// </summary>
static class ManifestCheck
{
    const string Folder = "crds";

    static readonly Dictionary<string, string> Definitions = new()
    {
        ["LeaderWorkerSet"] = "leaderworkersets.yaml",
        ["InferencePool"] = "inferencepools.yaml",
        ["InferenceObjective"] = "inferenceobjectives.yaml",
        ["ScaledObject"] = "scaledobjects.yaml",
        ["Certificate"] = "cert-manager-certificates.yaml",
        ["Issuer"] = "cert-manager-issuers.yaml",
        ["PodMonitor"] = "podmonitors.yaml",
        ["PrometheusRule"] = "prometheusrules.yaml",
    };

    static readonly Dictionary<string, JsonNode> Read = [];

    /// <summary>For tests of custom resources: where the definitions are.</summary>
    public const string AnyDefinition = $"{Folder}/leaderworkersets.yaml";

    public static bool HasDefinitions => File.Exists(SharedFiles.Shared(AnyDefinition));

    /// <summary>All that is wrong with these documents. Custom resources are left out where there are no definitions.</summary>
    public static IReadOnlyList<string> Problems(string yaml) => [.. YamlDocuments.Parse(yaml).SelectMany(ProblemsOf)];

    public static string KindOf(JsonNode manifest) => (string)manifest["kind"]!;

    static IEnumerable<string> ProblemsOf(JsonNode manifest)
    {
        var (kind, version) = (KindOf(manifest), (string)manifest["apiVersion"]!);
        var what = $"{kind} {manifest["metadata"]?["name"]}";
        if (Definitions.TryGetValue(kind, out var file))
        {
            if (!HasDefinitions) return [];
            var definition = DefinitionIn(file);
            if ($"{definition["spec"]!["group"]}/" is var group && !version.StartsWith(group, StringComparison.Ordinal))
                return [$"{what}: is of {group} and not {version}"];
            return StructuralSchema.Of(definition, version[(version.IndexOf('/') + 1)..]).Problems(manifest).Select(problem => $"{what}: {problem}");
        }
        return ProblemOfTyped(manifest, version, kind) is { } problem ? [$"{what}: {problem}"] : [];
    }

    static string? ProblemOfTyped(JsonNode manifest, string version, string kind)
    {
        if (typeof(V1Pod).Assembly.GetTypes().All(type => !IsKind(type, version, kind))) return $"{version} has no such kind";
        try
        {
            // JSON is YAML.
            KubernetesYaml.LoadAllFromString(manifest.ToJsonString(), strict: true).Single();
            return null;
        }
        catch (YamlException wrong)
        {
            return $"{wrong.Start}: {wrong.InnerException?.Message ?? wrong.Message}";
        }
    }

    static bool IsKind(Type type, string version, string kind) =>
        type.GetCustomAttributes(typeof(KubernetesEntityAttribute), inherit: false).OfType<KubernetesEntityAttribute>().FirstOrDefault() is { } entity
        && entity.Kind == kind && (entity.Group.Length > 0 ? $"{entity.Group}/{entity.ApiVersion}" : entity.ApiVersion) == version;

    static JsonNode DefinitionIn(string file)
    {
        lock (Read)
        {
            if (!Read.TryGetValue(file, out var definition))
                Read[file] = definition = YamlDocuments.Parse(File.ReadAllText(SharedFiles.Shared($"{Folder}/{file}"))).Single();
            return definition;
        }
    }
}
