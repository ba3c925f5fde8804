using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>The files of deploy/k8s.</summary>
static class DeploymentFiles
{
    public static string Folder { get; } = Path.Combine(SharedFiles.Repository, "deploy", "k8s");

    public static string Overlay(string name) => Path.Combine(Folder, "overlays", name);

    public static IEnumerable<string> Overlays => Directory.GetDirectories(Path.Combine(Folder, "overlays")).Select(path => Path.GetFileName(path)!).Order();

    /// <summary>All YAML files, relative to <see cref="Folder"/>.</summary>
    public static IEnumerable<string> All =>
        Directory.GetFiles(Folder, "*.yaml", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Folder, path)).Order();

    public static string Read(string relative) => File.ReadAllText(Path.Combine(Folder, relative));

    public static IReadOnlyList<JsonNode> Documents(string relative) => YamlDocuments.Parse(Read(relative));

    /// <summary>The settings that pods get as environment variables.</summary>
    public static Dictionary<string, string> Settings => File.ReadLines(Path.Combine(Folder, "base", "settings.env"))
        .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split('=', 2)).ToDictionary(words => words[0], words => words[1]);

    /// <summary>The specifications of all pods that documents make, with the name of what makes them.</summary>
    public static IEnumerable<(string Owner, JsonNode Pod)> Pods(IEnumerable<JsonNode> documents) => documents.SelectMany(document =>
        ManifestCheck.KindOf(document) switch
        {
            "StatefulSet" or "Deployment" or "Job" => [($"{document["metadata"]!["name"]}", document["spec"]!["template"]!)],
            "LeaderWorkerSet" => new[] { "leaderTemplate", "workerTemplate" }
                .Select(template => (template, document["spec"]!["leaderWorkerTemplate"]![template]!)),
            _ => Array.Empty<(string, JsonNode)>(),
        });
}
