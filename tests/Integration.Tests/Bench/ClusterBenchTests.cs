using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Bench;

public sealed class ClusterBenchTests
{
    const string Tiny = "hidden=64,layers=4,ffn=96,heads=4,kv-heads=2,vocab=80";

    [Theory]
    [InlineData("--workers", "2", "--concurrency", "3", "--prompt-tokens", "20", "--generate-tokens", "40")]
    [InlineData("--workers", "3", "--concurrency", "2", "--shape", Tiny, "--share-layer-weights", "--pin", "--generate-tokens", "60")]
    public async Task A_cluster_of_processes_is_measured(params string[] args)
    {
        await using var bench = CliProcess.Start(["bench", "--json", "--threads-per-worker", "1", .. args]);
        var report = JsonNode.Parse(await bench.OutputLineAsync())!.AsObject();
        var workers = int.Parse(args[1]);

        Assert.Equal(0, await bench.ExitAsync());
        foreach (var key in new[] { "prefill_tokens_per_second", "decode_tokens_per_second", "time_to_first_token_seconds", "fraction_of_memory_bandwidth", "peak_rss_bytes", "decode_steps_per_second" })
            Assert.InRange((double)report[key]!, double.Epsilon, double.MaxValue);
        Assert.Equal(workers, report["stages"]!.AsArray().Count);
        Assert.All(report["stages"]!.AsArray(), stage => Assert.InRange((double)stage!["busy_fraction"]!, double.Epsilon, 1.5));
        Assert.Equal(workers, report["worker_peak_rss_bytes"]!.AsArray().Count(bytes => (long)bytes! > 0));
        var latency = report["inter_token_latency_percentiles_seconds"]!;
        Assert.True((double)latency["p50"]! <= (double)latency["p99"]!);
    }

    [Fact]
    public async Task What_does_not_fit_fails_with_the_arithmetic()
    {
        await using var bench = CliProcess.Start("bench", "--workers", "2", "--shape", "llama-3.1-405b", "--quant", "f32");

        Assert.Contains("does not fit", await bench.ErrorLineAsync("error:"));
        Assert.Equal(1, await bench.ExitAsync());
    }
}
