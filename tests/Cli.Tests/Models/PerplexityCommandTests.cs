using System.Globalization;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

public sealed class PerplexityCommandTests
{
    static readonly string HeldOut = SharedFiles.Fixture("demo-heldout.txt");

    [Fact]
    public async Task The_demo_model_scores_as_in_llama_perplexity()
    {
        const double LlamaCpp = 1.5459; // context 512, the q8_0 file

        var run = await CommandRun.OfAsync("", "perplexity", "--file", HeldOut, "--json");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var score = JsonNode.Parse(run.Output)!;
        Assert.Equal(LlamaCpp, (double)score["perplexity"]!, LlamaCpp * 0.002);
        Assert.Equal((16, 16 * 255), ((int)score["chunks"]!, (int)score["scored_tokens"]!));
    }

    [Fact]
    public async Task Without_json_it_is_one_line()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("text"), File.ReadAllText(HeldOut)[..2000]);

        var run = await CommandRun.OfAsync("", "perplexity", "--file", folder.File("text"), "--context", "64");

        Assert.Matches(@"^perplexity \d+\.\d{4} \+/- \d+\.\d{4}, \d+ tokens of \d+ chunks\n$", run.Output.ToString(CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_text_shorter_than_two_chunks_is_one_line_and_exit_code_1()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("text"), "Too short.");

        var run = await CommandRun.OfAsync("", "perplexity", "--file", folder.File("text"));

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("two chunks of --context 512 need 1024", run.ErrorLine);
    }

    [Fact]
    public async Task A_context_longer_than_the_models_is_one_line_and_exit_code_1()
    {
        var run = await CommandRun.OfAsync("", "perplexity", "--file", HeldOut, "--context", "513");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("--context is 513", run.ErrorLine);
    }
}
