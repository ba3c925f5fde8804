using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Bench;

public sealed class ClusterBenchTests
{
    static readonly string[] Keys =
    [
        "prefill_tokens_per_second", "decode_tokens_per_second", "time_to_first_token_seconds", "fraction_of_memory_bandwidth", "peak_rss_bytes",
        "decode_steps_per_second", "predicted_inter_token_latency_seconds",
    ];

    const string Tiny = "hidden=64,layers=4,ffn=96,heads=4,kv-heads=2,vocab=80";

    [Theory]
    [InlineData(3, 2, 2,
        "--concurrency", "2", "--prompt-tokens", "20", "--shape", Tiny, "--share-layer-weights", "--pin", "--kv-type", "f32", "--generate-tokens", "60")]
    public async Task A_cluster_of_processes_is_measured(int workers, int ranks, int stages, params string[] args)
    {
        await using var bench = CliProcess.Start(
            ["bench", "--json", "--workers", $"{workers}", "--tensor-parallel", $"{ranks}", "--threads-per-worker", "1", .. args]);
        var report = JsonNode.Parse(await bench.OutputLineAsync())!.AsObject();

        Assert.Equal(0, await bench.ExitAsync());
        foreach (var key in Keys)
            Assert.InRange((double)report[key]!, double.Epsilon, double.MaxValue);
        CheckStages([.. report["stages"]!.AsArray()], stages, ranks);
        Assert.Equal((double)report["kv_bytes_per_token"]!, report["stages"]!.AsArray().Sum(stage => (double)stage!["kv_bytes_per_token"]!));
        var kvBytes = args.Contains("f32") ? 4 : 2;
        if (args.Contains(Tiny)) Assert.Equal(4 * 2 * 2 * 16 * kvBytes, (double)report["kv_bytes_per_token"]!);   // layers, K and V, heads, their size
        Assert.Equal(workers, report["worker_peak_rss_bytes"]!.AsArray().Count(bytes => (long)bytes! > 0));
        var latency = report["inter_token_latency_percentiles_seconds"]!;
        Assert.True((double)latency["p50"]! <= (double)latency["p99"]!);
    }

    static void CheckStages(JsonNode?[] stages, int count, int ranks)
    {
        Assert.Equal(count, stages.Length);
        foreach (var (index, stage) in stages.Index())
        {
            foreach (var key in new[] { "busy_fraction", "seconds_per_layer", "weight_bytes_per_second", "fraction_of_memory_bandwidth", "kv_bytes_per_token" })
                Assert.InRange((double)stage![key]!, double.Epsilon, double.MaxValue);
            Assert.Equal(index < count - 1, (double)stage!["activation_bytes_per_token"]! > 0);
            Assert.Equal((int)stage["ranks"]! > 1, (double)stage["tensor_sync_bytes_per_token"]! > 0);
        }
        Assert.Equal(ranks, stages.Max(stage => (int)stage!["ranks"]!));
    }

    [Fact]
    public async Task What_does_not_fit_fails_with_the_arithmetic()
    {
        await using var bench = CliProcess.Start("bench", "--workers", "2", "--shape", "llama-3.1-405b", "--quant", "f32");

        Assert.Contains("does not fit", await bench.ErrorLineAsync("error:"));
        Assert.Equal(1, await bench.ExitAsync());
    }
}
