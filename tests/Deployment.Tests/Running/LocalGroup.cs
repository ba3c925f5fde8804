using System.Text.Json.Nodes;
using LlamaCluster.Deployment.Tests.Kubernetes;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>One group of the LeaderWorkerSet: the pods that its controller makes, with the environment that it gives them.</summary>
sealed class LocalGroup : IAsyncDisposable
{
    readonly JsonNode _template;
    readonly LocalNode _node;
    readonly string _name;
    readonly int _size;
    readonly Dictionary<int, LocalPod> _pods = [];

    LocalGroup(JsonNode template, LocalNode node, string name, int size) => (_template, _node, _name, _size) = (template, node, name, size);

    public LocalPod Leader => _pods[0];

    public IEnumerable<LocalPod> Pods => _pods.Values;

    public Uri Api => new($"http://{Leader.Address}:8080");

    /// <param name="size">Pods; null: as many as the manifest says.</param>
    public static LocalGroup Start(LocalNode node, int index, int? size = null)
    {
        var set = DeploymentFiles.Documents("overlays/lws/leaderworkerset.yaml").Single();
        var template = set["spec"]!["leaderWorkerTemplate"]!;
        var group = new LocalGroup(template, node, $"{set["metadata"]!["name"]}-{index}", size ?? (int)template["size"]!);
        for (var i = 0; i < group._size; i++) group.StartPod(i);
        return group;
    }

    public async Task ReadyAsync()
    {
        foreach (var pod in Pods) await pod.StartedAsync();
        foreach (var pod in Pods) await pod.ReadyAsync();
    }

    /// <summary>Deletes a pod, and makes it again, as for a change of its node: the next one only when this one is ready.</summary>
    public async Task<int> RollAsync(int index)
    {
        var exit = await _pods[index].StopAsync();
        await _pods[index].DisposeAsync();
        var pod = StartPod(index);
        await pod.StartedAsync();
        await pod.ReadyAsync();
        return exit;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pod in Pods) await pod.DisposeAsync();
    }

    LocalPod StartPod(int index)
    {
        var name = index == 0 ? _name : $"{_name}-{index}";
        var template = _template[index == 0 ? "leaderTemplate" : "workerTemplate"]!;
        return _pods[index] = LocalPod.Start(template["spec"]!, _node, name, new()
        {
            ["LWS_LEADER_ADDRESS"] = _node.AddressOf(_name),
            ["LWS_GROUP_SIZE"] = $"{_size}",
            ["LWS_WORKER_INDEX"] = $"{index}",
        });
    }
}
