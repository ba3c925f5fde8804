using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

public sealed class QuantizeCommandTests
{
    [Fact]
    public async Task A_quantised_folder_answers_as_before()
    {
        using var folder = new TempFolder();
        var file = folder.File("demo-q4_k.gguf");

        var run = await CommandRun.OfAsync("", "quantize", "--model", SharedFiles.Demo("hf"), "--to", "q4_k", "--out", file);

        Assert.Equal((0, $"{file}\n", ""), (run.ExitCode, run.Output, run.Error));
        var types = JsonNode.Parse((await CommandRun.OfAsync("", "inspect", "--json", "--model", file)).Output)!["types"]!.AsArray();
        Assert.Contains(types, type => (string)type!["type"]! == "Q4_K");
        Assert.StartsWith(
            "A KV cache stores the keys and values",
            (await CommandRun.OfAsync("", "generate", "--model", file, "--prompt", "What is a KV cache?")).Output);
    }

    [Fact]
    public async Task The_model_is_not_written_over_itself()
    {
        var run = await CommandRun.OfAsync("", "quantize", "--model", SharedFiles.Demo("hf"), "--to", "q4_0", "--out", SharedFiles.Demo("../demo/hf"));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("is the model itself", run.ErrorLine);
    }
}
