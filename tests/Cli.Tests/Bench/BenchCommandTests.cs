using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class BenchCommandTests
{
    const string Tiny = "hidden=64,layers=2,ffn=96,heads=4,kv-heads=2,vocab=80";

    static readonly string[] Keys =
    [
        "prefill_tokens_per_second", "decode_tokens_per_second", "decode_tokens_per_second_per_stream", "time_to_first_token_seconds",
        "memory_read_bytes_per_second", "decode_weight_bytes_per_second", "fraction_of_memory_bandwidth", "peak_rss_bytes",
        "load_bytes_per_second",
    ];

    [Theory]
    [InlineData("--prompt-tokens", "40", "--generate-tokens", "3")]
    [InlineData("--shape", Tiny)]
    [InlineData("--shape", Tiny, "--layers", "1", "--quant", "f16", "--concurrency", "3", "--prompt-tokens", "200", "--generate-tokens", "2", "--pin")]
    [InlineData("--shape", Tiny, "--share-layer-weights")]
    public async Task Every_number_of_the_report_is_there(params string[] args)
    {
        var run = await CommandRun.OfAsync("", ["bench", "--json", "--threads-per-worker", "2", .. args]);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var report = JsonNode.Parse(run.Output)!.AsObject();
        Assert.Equal(Keys, report.Select(field => field.Key));
        Assert.All(report, field => Assert.InRange((double)field.Value!, double.Epsilon, double.MaxValue));
    }

    [Fact]
    public async Task Streams_share_the_total()
    {
        var run = await CommandRun.OfAsync("", "bench", "--json", "--shape", Tiny, "--concurrency", "4");

        var report = JsonNode.Parse(run.Output)!;
        Assert.Equal((double)report["decode_tokens_per_second"]!, 4 * (double)report["decode_tokens_per_second_per_stream"]!, 1e-3);
    }

    [Fact]
    public async Task A_folder_is_quantised_and_without_json_there_are_lines()
    {
        var run = await CommandRun.OfAsync("", "bench", "--model", SharedFiles.Demo("hf"), "--quant", "q4_0", "--prompt-tokens", "8", "--generate-tokens", "2");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Matches(@"^prefill .* tokens/s.*\ndecode .* per stream\nweights read .* GB/s\nmemory .* MB.*\nloading .* GB/s", run.Output);
    }

    [Theory]
    [InlineData(2, "shape 'llama' is unknown", "--shape", "llama")]
    [InlineData(2, "ffn is missing", "--shape", "hidden=64,layers=2,heads=4,vocab=80")]
    [InlineData(2, "--layers is 3", "--shape", Tiny, "--layers", "3")]
    [InlineData(2, "--layers needs --shape", "--layers", "1")]
    [InlineData(2, "--share-layer-weights needs --shape", "--share-layer-weights")]
    [InlineData(2, "--tensor-parallel needs --workers", "--tensor-parallel", "2")]
    [InlineData(1, "is Q8_0 already", "--quant", "q4_0")]
    [InlineData(2, "--workers is -1", "--workers", "-1")]
    [InlineData(2, "--concurrency is 512", "--workers", "1", "--concurrency", "512")]
    [InlineData(1, "together", "--workers", "1", "--prompt-tokens", "512")]
    [InlineData(2, "both given", "--shape", Tiny, "--model", "x.gguf")]
    [InlineData(2, "--quant is q9", "--shape", Tiny, "--quant", "q9")]
    [InlineData(2, "--quant is f16", "--quant", "f16")]
    [InlineData(2, "--concurrency is 0", "--concurrency", "0")]
    [InlineData(2, "--generate-tokens is 1", "--generate-tokens", "1")]
    [InlineData(1, "no such file", "--model", "missing.gguf")]
    [InlineData(1, "blocks of", "--shape", Tiny, "--quant", "q4_k")]
    [InlineData(1, "together", "--prompt-tokens", "512")]
    [InlineData(1, "GB of weights", "--shape", "llama-3.1-405b", "--quant", "f32")]
    public async Task What_cannot_be_measured_is_one_line(int exitCode, string problem, params string[] args)
    {
        var run = await CommandRun.OfAsync("", ["bench", .. args]);

        Assert.Equal((exitCode, ""), (run.ExitCode, run.Output));
        Assert.Contains(problem, run.ErrorLine);
    }
}
