using System.Text.Json.Nodes;
using LlamaCluster.Cli;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>`plan --emit-k8s`: a plan as manifests.</summary>
public sealed class PlanOverlayTests
{
    [KustomizeFact]
    public async Task A_plan_renders_with_its_workers_memory_and_sizes()
    {
        using var folder = new TempFolder();
        var target = folder.File("k8s");
        for (var time = 0; time < 2; time++) Assert.Equal((0, ""), await PlanAsync(target));

        var rendered = Kustomize.Render(target);

        Assert.Empty(ManifestCheck.Problems(rendered));
        var objects = YamlDocuments.Parse(rendered);
        var set = objects.Single(one => ManifestCheck.KindOf(one) == "LeaderWorkerSet")["spec"]!["leaderWorkerTemplate"]!;
        var settings = objects.Single(one => ManifestCheck.KindOf(one) == "ConfigMap")["data"]!;
        // Eight workers of 360 GB, which are nine tenths of what a pod gets.
        Assert.Equal(("8", 9), ((string)settings["WORKERS"]!, (int)set["size"]!));
        var worker = set["workerTemplate"]!["spec"]!["containers"]![0]!;
        Assert.Equal("381470Mi", (string)worker["resources"]!["limits"]!["memory"]!);
        Assert.Equal(worker["resources"]!["limits"]!.ToJsonString(), worker["resources"]!["requests"]!.ToJsonString());
        var leader = set["leaderTemplate"]!["spec"]!;
        Assert.Contains("--context=8192", leader["containers"]![0]!["args"]!.AsArray().Select(argument => (string)argument!));
        var models = leader["volumes"]!.AsArray().Single(volume => (string)volume!["name"]! == "models")!;
        Assert.Equal("llamacluster-models", (string)models["persistentVolumeClaim"]!["claimName"]!);
    }

    [KustomizeTheory]
    [InlineData("monitoring", "PrometheusRule")]
    [InlineData("tls", "Certificate")]
    [InlineData("kv-disk", "LeaderWorkerSet")]
    public async Task Components_can_be_added_to_what_is_written(string component, string kind)
    {
        using var folder = new TempFolder();
        Assert.Equal((0, ""), await PlanAsync(folder.File("plan")));
        Directory.CreateDirectory(folder.File("mine"));
        File.WriteAllText(folder.File("mine/kustomization.yaml"), $"resources: [../plan]\ncomponents: [../plan/llamacluster/k8s/components/{component}]\n");

        var rendered = Kustomize.Render(folder.File("mine"));

        Assert.Empty(ManifestCheck.Problems(rendered));
        Assert.Contains(YamlDocuments.Parse(rendered), one => ManifestCheck.KindOf(one) == kind);
    }

    [Fact]
    public async Task A_folder_with_other_files_is_left_alone()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("mine.txt"), "mine");

        var (exit, error) = await PlanAsync(folder.Path);

        Assert.Equal(1, exit);
        Assert.Equal($"error: --emit-k8s: {folder.Path} has other files in it: give an empty folder, or one that was written by this command", error);
        Assert.Equal(["mine.txt"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    /// <returns>The exit code, and what a failed run wrote to stderr.</returns>
    static async Task<(int Exit, string Error)> PlanAsync(string target)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var cluster = Path.Combine(SharedFiles.Repository, "docs", "clusters", "four-servers.yaml");
        var exit = await CommandLine.RunAsync(
            ["plan", "--shape", "llama-3.1-405b", "--cluster", cluster, "--objective", "throughput", "--concurrency", "32", "--emit-k8s", target],
            TextReader.Null, output, error);
        if (exit == 0) Assert.Contains("kubectl apply -k", error.ToString());
        return (exit, exit == 0 ? "" : error.ToString().TrimEnd());
    }
}
