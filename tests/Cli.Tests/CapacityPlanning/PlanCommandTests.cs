using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.CapacityPlanning;

public sealed class PlanCommandTests
{
    const string Desktops = "sixteen-desktops";

    public static TheoryData<string, string, string> Examples => new()
    {
        { "four-servers", "latency", "1" },
        { "four-servers", "throughput", "32" },
        { Desktops, "latency", "1" },
        { Desktops, "throughput", "16" },
        { "eight-fast-machines", "latency", "1" },
        { "eight-fast-machines", "throughput", "64" },
    };

    /// <summary>With LLAMACLUSTER_RECORD=1 the recordings are written anew.</summary>
    [Theory]
    [MemberData(nameof(Examples))]
    public async Task Examples_print_what_was_recorded(string cluster, string objective, string streams)
    {
        var run = await CommandRun.OfAsync(
            "", "plan", "--shape", "llama-3.1-405b", "--quant", "q4_k_m", "--cluster", ClusterOf(cluster), "--objective", objective, "--concurrency", streams);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var recording = SharedFiles.Fixture($"plans/{cluster}-{objective}.txt");
        if (Environment.GetEnvironmentVariable("LLAMACLUSTER_RECORD") == "1") await File.WriteAllTextAsync(recording, run.Output);
        Assert.Equal(await File.ReadAllTextAsync(recording), run.Output);
    }

    [Fact]
    public async Task Json_is_one_object_with_stages_memory_and_predictions()
    {
        var run = await CommandRun.OfAsync(
            "", "plan", "--shape", "llama-3.1-70b", "--cluster", ClusterOf("four-servers"), "--concurrency", "4", "--context", "4096", "--json");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var plan = JsonNode.Parse(run.Output)!;
        Assert.True((bool)plan["predicted"]!);
        Assert.Equal(80, plan["stages"]!.AsArray().Sum(stage => (int)stage!["layers"]!));
        Assert.Equal([1, 2, 4], plan["streams"]!.AsArray().Select(streams => (int)streams!["streams"]!));
        Assert.All(plan["stages"]!.AsArray().SelectMany(stage => stage!["workers"]!.AsArray()), worker =>
            Assert.InRange((long)worker!["memory_bytes"]!, 1, (long)worker["memory_limit_bytes"]!));
        var causes = plan["seconds_per_token_by_cause"]!.AsObject().Sum(cause => (double)cause.Value!);
        Assert.Equal((double)plan["seconds_per_token"]!, causes, 1e-9);
    }

    [Fact]
    public async Task The_KV_type_counts_in_the_memory()
    {
        async Task<double> MemoryAsync(string type)
        {
            var run = await CommandRun.OfAsync(
                "", "plan", "--shape", "llama-3.1-8b", "--cluster", ClusterOf("four-servers"), "--context", "131072", "--json", "--kv-type", type);
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            var workers = JsonNode.Parse(run.Output)!["stages"]!.AsArray().SelectMany(stage => stage!["workers"]!.AsArray());
            return workers.Sum(worker => (double)worker!["memory_bytes"]!);
        }

        var half = await MemoryAsync("f16");
        const double kvOfF16 = 131_072.0 * 32 * 2 * 8 * 128 * 2;
        Assert.Equal(kvOfF16, await MemoryAsync("f32") - half, kvOfF16 * 0.01);
        Assert.Equal(kvOfF16 * 15 / 32, half - await MemoryAsync("q8_0"), kvOfF16 * 0.01);
    }

    [Fact]
    public async Task Whole_experts_are_planned_and_emitted_where_they_are_asked_for()
    {
        using var folder = new TempFolder();
        string[] maverick = ["plan", "--shape", "llama-4-maverick", "--quant", "q4_0", "--cluster", ClusterOf("eight-fast-machines"), "--tensor-parallel", "8"];
        var usual = await CommandRun.OfAsync("", maverick);
        Assert.Equal((0, ""), (usual.ExitCode, usual.Error));
        Assert.Matches(@"(?m)^stage +layers +ranks +shares +experts +ms", usual.Output);
        Assert.Matches(@"(?m)^0 +0\.\.47 +8 +equal +columns +", usual.Output);

        var whole = await CommandRun.OfAsync("", [.. maverick, "--expert-parallel", "on", "--json", "--emit-k8s", folder.Path]);
        Assert.Equal(0, whole.ExitCode);
        Assert.Equal("whole", (string)JsonNode.Parse(whole.Output)!["stages"]![0]!["experts"]!);
        Assert.Contains("value: --expert-parallel=on", await File.ReadAllTextAsync(Path.Combine(folder.Path, "kustomization.yaml")));
    }

    [Fact]
    public async Task A_models_headers_are_enough()
    {
        var run = await CommandRun.OfAsync("", "plan", "--model", SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), "--cluster", ClusterOf(Desktops));

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("8 layers", run.Output);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_with_the_arithmetic()
    {
        var run = await CommandRun.OfAsync("", "plan", "--shape", "llama-3.1-405b", "--quant", "q8_0", "--cluster", ClusterOf(Desktops));

        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Matches(
            @"^error: the model does not fit: 452\.\d\d GB of weights \+ 4\.\d\d GB of KV cache \+ 16 x \d\.\d\d GB of buffers = 4\d\d\.\d\d GB, "
            + @"but the workers have 16 x 28\.00 GB = 448\.00 GB$",
            run.ErrorLine);
    }

    [Theory]
    [InlineData(2, "give --model or --shape", "--cluster", "x.yaml")]
    [InlineData(2, "--cluster", "--shape", "llama-3.1-8b")]
    [InlineData(2, "shape 'llama' is unknown", "--shape", "llama", "--cluster", "x.yaml")]
    [InlineData(2, "--quant is q9; it must be one of q4_k_m", "--shape", "llama-3.1-8b", "--quant", "q9", "--cluster", "x.yaml")]
    [InlineData(2, "--objective is 'speed'; it must be latency, throughput", "--shape", "llama-3.1-8b", "--objective", "speed", "--cluster", "x.yaml")]
    [InlineData(2, "--expert-parallel is 'yes'; it must be auto, on, off", "--shape", "llama-3.1-8b", "--expert-parallel", "yes", "--cluster", "x.yaml")]
    [InlineData(2, "--context is 1; it must be from 2 to 131072", "--shape", "llama-3.1-8b", "--context", "1", "--cluster", "x.yaml")]
    [InlineData(2, "--concurrency is 0", "--shape", "llama-3.1-8b", "--concurrency", "0", "--cluster", "x.yaml")]
    [InlineData(2, "--quant goes with --shape", "--model", "x.gguf", "--quant", "q4_0", "--cluster", "x.yaml")]
    [InlineData(1, "x.yaml: no such file", "--shape", "llama-3.1-8b", "--cluster", "x.yaml")]
    public async Task What_cannot_be_planned_is_one_line(int exitCode, string problem, params string[] args)
    {
        var run = await CommandRun.OfAsync("", ["plan", .. args]);

        Assert.Equal((exitCode, ""), (run.ExitCode, run.Output));
        Assert.Contains(problem, run.ErrorLine);
    }

    [Fact]
    public async Task A_sweep_over_links_goes_from_tensor_groups_to_pipelines()
    {
        using var folder = new TempFolder();
        var run = await CommandRun.OfAsync(
            "", "plan", "--shape", "llama-3.1-8b", "--cluster", ClusterOf("eight-fast-machines"), "--sweep", "link=10us..100ms",
            "--svg", folder.File("links.svg"), "--json");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var points = JsonNode.Parse(run.Output)!["points"]!.AsArray();
        var best = points.Where(point => (string)point!["series"]! == "best").Select(point => (string)point!["ranks_of_stages"]!).ToList();
        Assert.NotEqual("1", best[0]);
        Assert.Equal("1", best[^1]);
        Assert.StartsWith("<svg ", await File.ReadAllTextAsync(folder.File("links.svg")));
    }

    [Fact]
    public async Task A_sweep_over_workers_is_a_table()
    {
        var run = await CommandRun.OfAsync("", "plan", "--shape", "llama-3.1-70b", "--cluster", ClusterOf(Desktops), "--sweep", "workers=1..3");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var lines = run.Output.TrimEnd().Split('\n');
        Assert.Equal("workers,series,predicted_seconds_per_token,predicted_tokens_per_second,ranks_of_stages,limit", lines[0]);
        Assert.Equal(1 + 3 * 3, lines.Length);
        Assert.StartsWith("1,best,,,,\"the model does not fit", lines[1]);
    }

    [Theory]
    [InlineData(2, "--sweep is cows=1..2; it must be workers=FIRST..LAST", Desktops, "--sweep", "cows=1..2")]
    [InlineData(2, "--svg needs --sweep", Desktops, "--svg", "x.svg")]
    [InlineData(1, "needs a cluster of one kind of workers with one on each host", "four-servers", "--sweep", "workers=1..2")]
    public async Task What_cannot_be_swept_is_one_line(int exitCode, string problem, string cluster, params string[] args)
    {
        var run = await CommandRun.OfAsync("", ["plan", "--shape", "llama-3.1-8b", "--cluster", ClusterOf(cluster), .. args]);

        Assert.Equal((exitCode, ""), (run.ExitCode, run.Output));
        Assert.Contains(problem, run.ErrorLine);
    }

    [Theory]
    [InlineData("workers=1..2")]
    [InlineData("link=1ms..2ms")]
    public async Task What_is_between_hosts_must_be_known_to_be_swept(string axis)
    {
        using var folder = new TempFolder();
        var cluster = folder.File("one.yaml");
        await File.WriteAllTextAsync(cluster, "name: one\nworkers: [{ name: a, memory: 8 GB, device: core-i5-12400 }]");
        var run = await CommandRun.OfAsync("", "plan", "--shape", "llama-3.1-8b", "--cluster", cluster, "--sweep", axis);

        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Equal("error: --sweep needs the network between hosts; one has one host and no network", run.ErrorLine);
    }

    static string ClusterOf(string name) => Path.Combine(SharedFiles.Repository, "docs", "clusters", $"{name}.yaml");
}
