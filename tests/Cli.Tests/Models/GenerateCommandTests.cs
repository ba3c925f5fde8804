using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

/// <summary>The demo model's answers against those that llama.cpp gave for the same file.</summary>
public sealed class GenerateCommandTests
{
    /// <summary>llama.cpp rounds activations its own way.</summary>
    const double Tolerance = 0.05;

    [Fact]
    public async Task Raw_prompts_are_answered_with_llama_cpps_ids_text_and_log_probabilities()
    {
        foreach (var recorded in JsonNode.Parse(File.ReadAllText(SharedFiles.Fixture("demo-q8_0-greedy.json")))!["cases"]!.AsArray().Take(2))
        {
            var run = await CommandRun.OfAsync("", "generate", "--raw", "--prompt", (string)recorded!["prompt"]!, "--json", "--logprobs", "3", "--max-tokens", "200");

            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            var answer = JsonNode.Parse(run.Output)!;
            Assert.Equal(recorded["prompt_tokens"]!.ToJsonString(), answer["prompt_tokens"]!.ToJsonString());
            Assert.Equal(recorded["tokens"]!.ToJsonString(), answer["tokens"]!.ToJsonString());
            Assert.Equal((string)recorded["text"]!, (string)answer["text"]!);
            Assert.Equal("stop", (string)answer["finish_reason"]!);
            AssertNear(recorded["steps"]!.AsArray(), answer["logprobs"]!.AsArray());
        }
    }

    [Fact]
    public async Task A_folder_quantised_while_loading_answers_as_its_quantised_file()
    {
        string[] question = ["generate", "--prompt", "What is pipeline parallelism?", "--json", "--logprobs", "2"];

        var run = await CommandRun.OfAsync("", [.. question, "--model", SharedFiles.Demo("hf"), "--quantize", "q8_0"]);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal((await CommandRun.OfAsync("", question)).Output, run.Output);
    }

    [Theory]
    [InlineData(2, "--quantize is q9; it must be one of q8_0, q6_k, q4_k, q4_0", "q9")]
    [InlineData(1, "is Q8_0 already", "q4_0")]
    public async Task What_cannot_be_quantised_is_one_line(int exitCode, string problem, string type)
    {
        var run = await CommandRun.OfAsync("", "generate", "--prompt", "x", "--quantize", type);

        Assert.Equal((exitCode, ""), (run.ExitCode, run.Output));
        Assert.Contains(problem, run.ErrorLine);
    }

    [Fact]
    public async Task A_question_goes_through_the_chat_template()
    {
        var run = await CommandRun.OfAsync("", "generate", "--prompt", "What is pipeline parallelism?");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            "Pipeline parallelism splits a model by layers. Each worker holds some of the layers, runs them and passes the activations to the next worker.\n", run.Output);
    }

    [Fact]
    public async Task An_answer_cut_at_the_limit_says_length()
    {
        var run = await CommandRun.OfAsync("", "generate", "--prompt", "What is pipeline parallelism?", "--max-tokens", "3", "--json");

        var answer = JsonNode.Parse(run.Output)!;
        Assert.Equal(("length", "[47,803,772]", "Pipeline"), ((string)answer["finish_reason"]!, answer["tokens"]!.ToJsonString(), ((string)answer["text"]!)[..8]));
        Assert.All(answer["logprobs"]!.AsArray(), step => Assert.Empty(step!["top"]!.AsArray()));
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_answer()
    {
        Task<CommandRun> Answer() => CommandRun.OfAsync("", "generate", "--prompt", "Tell me a story.", "--temperature", "1.5", "--seed", "18446744073709551615", "--max-tokens", "24");

        Assert.Equal((await Answer()).Output, (await Answer()).Output);
    }

    [Fact]
    public async Task A_prompt_as_long_as_the_context_is_refused()
    {
        var run = await CommandRun.OfAsync("", "generate", "--raw", "--prompt", string.Concat(Enumerable.Repeat("7 ", 600)));

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("fewer than 512 fit the model's context", run.ErrorLine);
    }

    static void AssertNear(JsonArray recorded, JsonArray steps)
    {
        Assert.Equal(recorded.Count, steps.Count);
        foreach (var (wanted, got) in recorded.Zip(steps))
        {
            Assert.Equal((int)wanted!["id"]!, (int)got!["id"]!);
            Assert.Equal((double)wanted["logprob"]!, (double)got["logprob"]!, Tolerance);
            Assert.Equal((int)wanted["top"]![0]![0]!, (int)got["top"]![0]![0]!);
            Assert.Equal(3, got["top"]!.AsArray().Count);
        }
    }
}
