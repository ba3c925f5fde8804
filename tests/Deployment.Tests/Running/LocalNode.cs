using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Deployment.Tests.Kubernetes;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>
/// What pods find around them: an address each, out of a part of loopback that no other test has, and folders for volumes. A claimed one is there again when a
/// pod of the same name comes back. An emptyDir is empty. A Secret has what docs/kubernetes.md says that it has.
/// </summary>
sealed class LocalNode : IDisposable
{
    /// <summary>Where the image has its program.</summary>
    public const string Program = "/app";

    /// <summary>What each Secret's file is called, and what it says.</summary>
    readonly Dictionary<string, (string File, string Text)> _secrets;

    readonly TempFolder _folder = new();
    readonly List<string> _names = [];
    readonly string _network = $"127.{Random.Shared.Next(64, 250)}.{Random.Shared.Next(1, 250)}";

    public LocalNode(params (string Name, string Value)[] changes)
    {
        Settings = DeploymentFiles.Settings;
        foreach (var (name, value) in changes) Settings[name] = value;
        _secrets = new()
        {
            ["llamacluster-join"] = ("token", "the secret of this test's pods"),
            ["llamacluster-api-keys"] = ("keys", ApiKeyFile.LineOf("client", "inference", Key)),
        };
    }

    /// <summary>That the API's clients show.</summary>
    public string Key { get; } = ApiKey.NewText();

    /// <summary>Of the ConfigMap.</summary>
    public Dictionary<string, string> Settings { get; }

    public string AddressOf(string pod)
    {
        lock (_names)
        {
            if (!_names.Contains(pod)) _names.Add(pod);
            return $"{_network}.{_names.IndexOf(pod) + 1}";
        }
    }

    /// <returns>The folder of each volume by its name.</returns>
    public Dictionary<string, string> Volumes(JsonNode pod, string name)
    {
        var folders = pod["containers"]![0]!["volumeMounts"]!.AsArray().Select(mount => (string)mount!["name"]!)
            .ToDictionary(volume => volume, volume => _folder.File($"{name}/{volume}"));
        foreach (var volume in pod["volumes"]!.AsArray().Where(volume => volume!["emptyDir"] is not null).Select(volume => folders[(string)volume!["name"]!]))
            if (Directory.Exists(volume)) Directory.Delete(volume, recursive: true);
        foreach (var folder in folders.Values) Directory.CreateDirectory(folder);
        foreach (var volume in pod["volumes"]!.AsArray().Where(volume => volume!["secret"] is not null))
        {
            var (file, text) = _secrets[(string)volume!["secret"]!["secretName"]!];
            File.WriteAllText(Path.Combine(folders[(string)volume["name"]!], file), text);
        }
        return folders;
    }

    public void Dispose() => _folder.Dispose();
}
