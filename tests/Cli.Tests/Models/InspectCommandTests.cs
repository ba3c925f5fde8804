using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

public sealed class InspectCommandTests
{
    [Fact]
    public async Task Facts_types_layers_and_KV_are_shown()
    {
        var run = await CommandRun.OfAsync("", "inspect");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        foreach (var line in new[]
        {
            @"^parameters +5,247,232$", @"^kv heads +4$", @"^context +512$", @"^head +the embedding \(tied\)$", @"^tensors Q8_0 +57 +5,570,560 bytes$",
            @"^layers 0-7, each +628,736 bytes$", @"^KV per token, F16 +4,096 bytes$",
        })
            Assert.Matches($"(?m){line}", run.Output);
    }

    [Fact]
    public async Task What_files_hold_in_few_bits_is_shown()
    {
        var model = SharedFiles.Fixture("few-bits/w4a16-zero-points");

        var text = await CommandRun.OfAsync("", "inspect", "--model", model);
        var json = await CommandRun.OfAsync("", "inspect", "--json", "--model", model);

        Assert.Matches("(?m)^in the files +14  int4 with zero points, a scale for each 32 columns of a row$", text.Output);
        Assert.Equal(14, (int)JsonNode.Parse(json.Output)!["stored_forms"]![0]!["count"]!);
    }

    [Theory]
    [InlineData("llamacluster-demo-5m-q8_0.gguf", "Q8_0")]
    [InlineData("hf", "F16")]
    public async Task Json_is_one_object(string model, string type)
    {
        var run = await CommandRun.OfAsync("", "inspect", "--json", "--model", SharedFiles.Demo(model));

        var facts = JsonNode.Parse(run.Output)!;
        Assert.Equal((5_247_232, 8, type), ((int)facts["parameters"]!, facts["layer_bytes"]!.AsArray().Count, (string)facts["types"]![0]!["type"]!));
    }
}
