using System.Text.Json.Nodes;
using LlamaCluster.Cli;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>What is in deploy/k8s is what Kubernetes takes, and says what docs and program say.</summary>
public sealed class ManifestTests
{
    /// <summary>Parts of objects, and lists of changes: they are checked in what is rendered with them.</summary>
    static bool IsWhole(string file) =>
        Path.GetFileName(file) != "kustomization.yaml"
        && DeploymentFiles.Documents(file) is [JsonObject, ..] documents && documents.All(document => document["kind"] is not null)
        && !DeploymentFiles.Read(Path.Combine(Path.GetDirectoryName(file)!, "kustomization.yaml")).Contains($"path: {Path.GetFileName(file)}");

    public static TheoryData<string> Whole => [.. DeploymentFiles.All.Where(IsWhole)];

    public static TheoryData<string> All => [.. DeploymentFiles.All];

    public static TheoryData<string> Overlays => [.. DeploymentFiles.Overlays];

    public static TheoryData<string> WithPods =>
        [.. DeploymentFiles.All.Where(IsWhole).Where(file => DeploymentFiles.Pods(DeploymentFiles.Documents(file)).Any())];

    [Theory]
    [MemberData(nameof(All))]
    public void Every_file_is_strict_YAML(string file) => Assert.NotEmpty(DeploymentFiles.Documents(file));

    [Theory]
    [MemberData(nameof(Whole))]
    public void Every_object_has_known_fields_only(string file) => Assert.Empty(ManifestCheck.Problems(DeploymentFiles.Read(file)));

    [KustomizeTheory]
    [MemberData(nameof(Overlays))]
    public async Task Every_overlay_renders_to_objects_that_Kubernetes_takes(string overlay)
    {
        var rendered = Kustomize.Render(DeploymentFiles.Overlay(overlay));

        Assert.Empty(ManifestCheck.Problems(rendered));
        await CheckArgumentsAsync(YamlDocuments.Parse(rendered));
    }

    [SharedFact(ManifestCheck.AnyDefinition)]
    public void Custom_resources_are_checked_too() => Assert.Contains(
        "LeaderWorkerSet a: .spec.sise: is unknown",
        ManifestCheck.Problems("""
            apiVersion: leaderworkerset.x-k8s.io/v1
            kind: LeaderWorkerSet
            metadata: { name: a }
            spec: { sise: 4, leaderWorkerTemplate: { workerTemplate: { spec: { containers: [{ name: c, image: i }] } } } }
            """));

    [Theory]
    [InlineData("securityContext: { runAsNotRoot: true }", "runAsNotRoot")]
    [InlineData("containers: [{ name: c, probe: { } }]", "probe")]
    public void A_field_that_Kubernetes_does_not_know_is_a_problem(string field, string name) => Assert.Contains(
        name, Assert.Single(ManifestCheck.Problems($"apiVersion: v1\nkind: Pod\nmetadata: {{ name: a }}\nspec:\n  {field}\n")));

    [Theory]
    [MemberData(nameof(WithPods))]
    public void Pods_keep_the_restricted_standard_and_have_as_much_as_they_ask_for(string file)
    {
        foreach (var (owner, template) in DeploymentFiles.Pods(DeploymentFiles.Documents(file)))
        {
            var pod = template["spec"]!;
            Assert.False((bool)pod["automountServiceAccountToken"]!, owner);
            Assert.True((bool)pod["securityContext"]!["runAsNonRoot"]!, owner);
            Assert.Equal("RuntimeDefault", (string)pod["securityContext"]!["seccompProfile"]!["type"]!);
            foreach (var container in pod["containers"]!.AsArray())
            {
                var security = container!["securityContext"]!;
                Assert.False((bool)security["allowPrivilegeEscalation"]!, owner);
                Assert.True((bool)security["readOnlyRootFilesystem"]!, owner);
                Assert.Equal("""["ALL"]""", security["capabilities"]!["drop"]!.ToJsonString());
                Assert.Equal(container["resources"]!["limits"]!.ToJsonString(), container["resources"]!["requests"]!.ToJsonString());
                foreach (var probe in new[] { "startupProbe", "livenessProbe", "readinessProbe" }) Assert.NotNull(container[probe]);
                var volumes = pod["volumes"]!.AsArray().Select(volume => (string)volume!["name"]!).Append("data").Append("cache").Append("storage").ToHashSet();
                Assert.All(container["volumeMounts"]!.AsArray(), mount => Assert.Contains((string)mount!["name"]!, volumes));
                Assert.Equal("64Mi", (string)pod["volumes"]!.AsArray().Single(volume => (string)volume!["name"]! == "tmp")!["emptyDir"]!["sizeLimit"]!);
            }
        }
    }

    [Theory]
    [MemberData(nameof(WithPods))]
    public Task Arguments_are_options_that_the_program_has(string file) => CheckArgumentsAsync(DeploymentFiles.Documents(file));

    static async Task CheckArgumentsAsync(IEnumerable<JsonNode> documents)
    {
        foreach (var (_, template) in DeploymentFiles.Pods(documents))
            foreach (var container in template["spec"]!["containers"]!.AsArray().Where(container => (string)container!["name"]! is "coordinator" or "worker"))
            {
                string[] arguments = [.. container!["args"]!.AsArray().Select(argument => (string)argument!)];
                var (output, error) = (new StringWriter(), new StringWriter());
                Assert.Equal(0, await CommandLine.RunAsync([arguments[0], "--help"], TextReader.Null, output, error));
                Assert.All(arguments[1..], argument => Assert.Contains($"{argument[..argument.IndexOf('=')]} ", output.ToString()));
            }
    }

    /// <summary>What a pod's options are checked for when it starts: nothing that other machines reach lets in whoever comes.</summary>
    [Theory]
    [MemberData(nameof(WithPods))]
    public void Every_process_asks_who_comes(string file)
    {
        foreach (var (_, template) in DeploymentFiles.Pods(DeploymentFiles.Documents(file)))
            foreach (var container in template["spec"]!["containers"]!.AsArray().Where(container => (string)container!["name"]! is "coordinator" or "worker"))
            {
                string[] arguments = [.. container!["args"]!.AsArray().Select(argument => (string)argument!)];
                Assert.Contains("--join-token-file=/join/token", arguments);
                if (arguments[0] == "coordinator") Assert.Contains("--api-keys-file=/api-keys/keys", arguments);
                Assert.DoesNotContain("--insecure", arguments);
            }
    }

    [Fact]
    public void As_many_workers_are_waited_for_as_there_are_pods()
    {
        var workers = int.Parse(DeploymentFiles.Settings["WORKERS"]);

        Assert.Equal(workers + 1, (int)Single("overlays/lws/leaderworkerset.yaml", "LeaderWorkerSet")["spec"]!["leaderWorkerTemplate"]!["size"]!);
        Assert.Equal(workers, (int)Single("overlays/single/workers.yaml", "StatefulSet")["spec"]!["replicas"]!);
        var tensor = Single("overlays/lws-tensor/subgroups.yaml", "LeaderWorkerSet")["spec"]!["leaderWorkerTemplate"]!;
        Assert.Contains(
            $"WORKERS={(int)tensor["size"]! - 1}, TENSOR_PARALLEL={tensor["subGroupPolicy"]!["subGroupSize"]}]",
            DeploymentFiles.Read("overlays/lws-tensor/kustomization.yaml"));
        Assert.Equal(0, ((int)tensor["size"]! - 1) % (int)tensor["subGroupPolicy"]!["subGroupSize"]!);
    }

    [Theory]
    [InlineData("alerts")]
    [InlineData("recording")]
    public void The_operator_has_the_rules_that_a_Prometheus_without_it_reads(string name)
    {
        var prometheus = Path.Combine(DeploymentFiles.Folder, "..", "prometheus");
        var rules = File.ReadAllLines(Path.Combine(prometheus, "rules", $"{name}.yml")).Select(line => line.Length > 0 ? $"  {line}" : line);
        var manifest = File.ReadAllLines(Path.Combine(prometheus, "operator", $"{name}.yaml"));

        Assert.Equal(rules, manifest[(Array.IndexOf(manifest, "spec:") + 1)..]);
    }

    [KustomizeFact]
    public void Every_dashboard_is_in_a_ConfigMap_that_Grafana_finds()
    {
        var rendered = YamlDocuments.Parse(Kustomize.Render(DeploymentFiles.Overlay("monitoring")));

        var found = rendered.Where(one => (string?)one["metadata"]!["labels"]?["grafana_dashboard"] == "1").SelectMany(one => one["data"]!.AsObject());
        Assert.Equal(
            Directory.GetFiles(Path.Combine(DeploymentFiles.Folder, "..", "grafana", "dashboards")).Select(Path.GetFileName).Order(),
            found.Select(file => file.Key).Order());
    }

    [Theory]
    [InlineData("overlays/lws/leaderworkerset.yaml")]
    [InlineData("overlays/single/coordinator.yaml")]
    public void The_grace_period_has_room_for_preStop_and_the_drain(string file)
    {
        var pod = DeploymentFiles.Pods(DeploymentFiles.Documents(file)).First().Pod["spec"]!;
        var preStop = (int)pod["containers"]![0]!["lifecycle"]!["preStop"]!["sleep"]!["seconds"]!;
        var drain = int.Parse(DeploymentFiles.Settings["DRAIN_TIMEOUT"].TrimEnd('s'));

        Assert.Equal(preStop + drain + 15, (int)pod["terminationGracePeriodSeconds"]!);
    }

    [Fact]
    public void A_group_keeps_its_pods_when_one_dies_and_versions_do_not_mix_in_it()
    {
        var set = Single("overlays/lws/leaderworkerset.yaml", "LeaderWorkerSet")["spec"]!;

        Assert.Equal("None", (string)set["leaderWorkerTemplate"]!["restartPolicy"]!);
        var update = set["rolloutStrategy"]!["rollingUpdateConfiguration"]!;
        Assert.Equal((1, 0), ((int)update["maxSurge"]!, (int)update["maxUnavailable"]!));
    }

    [KustomizeTheory]
    [InlineData("single", "llamacluster-coordinator", "llamacluster-worker")]
    [InlineData("lws", "leaderTemplate", "workerTemplate")]
    public async Task Components_go_with_stateful_sets_as_with_groups(string overlay, string coordinator, string worker)
    {
        using var folder = new TempFolder();
        var parts = new[] { "tls", "model-volume", "kv-disk", "monitoring" }.Select(part => $"  - {Relative("components", part)}");
        File.WriteAllText(folder.File("kustomization.yaml"), $"resources:\n  - {Relative("overlays", overlay)}\ncomponents:\n{string.Join('\n', parts)}\n");

        var rendered = Kustomize.Render(folder.Path);

        Assert.Empty(ManifestCheck.Problems(rendered));
        await CheckArgumentsAsync(YamlDocuments.Parse(rendered));
        var pods = DeploymentFiles.Pods(YamlDocuments.Parse(rendered)).ToDictionary(pod => pod.Owner, pod => pod.Pod["spec"]!.ToJsonString());
        Assert.All(pods.Values, pod => Assert.Contains("--tls-ca=/tls/ca.crt", pod));
        Assert.All(pods.Values, pod => Assert.Contains("--join-token-file=/join/token", pod));
        Assert.Contains("\"tcpSocket\"", pods[worker]);
        Assert.DoesNotContain("\"grpc\":{", pods[worker]);
        Assert.Contains("\"claimName\":\"llamacluster-models\"", pods[coordinator]);
        string Relative(string kind, string name) => Path.GetRelativePath(folder.Path, Path.Combine(DeploymentFiles.Folder, kind, name));
    }

    static JsonNode Single(string file, string kind) => DeploymentFiles.Documents(file).Single(document => ManifestCheck.KindOf(document) == kind);
}
