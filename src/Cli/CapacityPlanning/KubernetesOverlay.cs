using System.Globalization;
using System.Text;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>
/// A plan as a kustomize overlay: the manifests of deploy, which this program carries, and a kustomization on top of them with the plan's workers,
/// memory, ranks and sizes. `kubectl apply -k` takes the folder.
/// </summary>
sealed class KubernetesOverlay(PlanQuestion question, ClusterDescription cluster, PlanningProblem problem, PlannedPipeline plan)
{
    /// <summary>The manifests' folder within what is written, and the beginning of their names in this program.</summary>
    const string Base = "llamacluster";

    /// <summary>What a worker does not offer of its limit: a tenth.</summary>
    const double Offered = 0.9;

    const long Gibibyte = 1L << 30;

    static readonly string[] Parts = ["k8s/base/", "k8s/overlays/lws/", "k8s/components/", "prometheus/", "grafana/"];

    int Workers => plan.Stages.Sum(stage => stage.Workers.Count);

    IEnumerable<(WorkerProfile Worker, double Weights)> Members => plan.Stages.Zip(plan.Prediction.Stages).SelectMany(stage =>
        stage.First.Workers.Zip(stage.Second.Memory, (worker, memory) => (problem.Cluster.Workers[worker], (double)memory.Weights)));

    /// <param name="folder">Made if it is not there.</param>
    /// <returns>What there is to do next, line by line.</returns>
    /// <exception cref="CommandFailedException">The folder has other files in it.</exception>
    public IReadOnlyList<string> Write(string folder)
    {
        if (Directory.Exists(folder) && !File.Exists(Path.Combine(folder, "kustomization.yaml")) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new CommandFailedException($"--emit-k8s: {folder} has other files in it: give an empty folder, or one that was written by this command");
        var assembly = typeof(KubernetesOverlay).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith($"{Base}/", StringComparison.Ordinal)))
        {
            if (!Parts.Any(part => name.AsSpan(Base.Length + 1).StartsWith(part))) continue;
            var path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using var manifest = assembly.GetManifestResourceStream(name)!;
            using var file = File.Create(path);
            manifest.CopyTo(file);
        }
        File.WriteAllText(Path.Combine(folder, "kustomization.yaml"), Kustomization());
        return
        [
            $"wrote {Path.Combine(folder, "kustomization.yaml")}: {Workers} workers and a coordinator",
            "next: put your image's name and the model's path into it, make the two Secrets, fill the claim llamacluster-models (docs/kubernetes.md), and run",
            $"  kubectl apply -k {folder}",
        ];
    }

    string Kustomization()
    {
        var (memory, threads) = (Members.Max(member => member.Worker.MemoryBytes), Members.Max(member => member.Worker.Threads));
        var weights = Members.Max(member => member.Weights);
        // A worker's volume has its weights twice: those of a new plan are fetched before the old ones go.
        var cache = Gibibytes(2 * weights);
        var ranks = plan.Stages.Max(stage => stage.Workers.Count);
        var text = new StringBuilder();
        text.AppendLine("# Written by `llamacluster plan --emit-k8s`, from a prediction. It may be changed by hand; writing it again changes it back.");
        text.AppendLine($"# model    {question.Model.Footprint.Name}: {question.Model.Footprint.LayerCount} layers");
        text.AppendLine($"# cluster  {cluster.Name}");
        text.AppendLine($"# plan     {plan.Stages.Count} {(plan.Stages.Count == 1 ? "stage" : "stages")}, {Workers} {(Workers == 1 ? "worker" : "workers")}");
        text.AppendLine($$"""
            apiVersion: kustomize.config.k8s.io/v1beta1
            kind: Kustomization
            resources:
              - {{Base}}/k8s/overlays/lws
            components:
              - {{Base}}/k8s/components/model-volume
            images:
              - name: llamacluster
                newName: llamacluster
                newTag: 0.1.0
            configMapGenerator:
              - name: llamacluster-settings
                behavior: merge
                literals:
                  - MODEL=/models/model.gguf
                  - WORKERS={{Workers}}
                  - TENSOR_PARALLEL={{ranks}}
                  - WEIGHTS_CACHE_SIZE={{cache}}GiB
            patches:
              - target:
                  kind: LeaderWorkerSet
                patch: |-
                  - op: replace
                    path: /spec/leaderWorkerTemplate/size
                    value: {{Workers + 1}}
                  - op: replace
                    path: /spec/leaderWorkerTemplate/volumeClaimTemplates/0/spec/resources/requests/storage
                    value: {{cache + Math.Max(2, cache / 10)}}Gi
                  - op: add
                    path: /spec/leaderWorkerTemplate/leaderTemplate/spec/containers/0/args/-
                    value: --context={{question.Positions}}
            """);
        if (question.Model.Footprint.HasExperts)
            text.AppendLine($$"""
                      - op: add
                        path: /spec/leaderWorkerTemplate/leaderTemplate/spec/containers/0/args/-
                        value: --expert-parallel={{(plan.Stages.Any(stage => stage.Shares.WholeExperts) ? "on" : "off")}}
                """);
        foreach (var side in new[] { "requests", "limits" })
            text.AppendLine($$"""
                      - op: replace
                        path: /spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/resources/{{side}}
                        value: {cpu: "{{threads}}", memory: {{LimitFor(memory)}}Mi, ephemeral-storage: 1Gi}
                """);
        return text.ToString().ReplaceLineEndings("\n");
    }

    /// <summary>The limit of which a worker offers so much, in MiB.</summary>
    static string LimitFor(double bytes) => ((long)Math.Ceiling(bytes / Offered / (1 << 20))).ToString(CultureInfo.InvariantCulture);

    static long Gibibytes(double bytes) => (long)Math.Ceiling(bytes / Gibibyte);
}
