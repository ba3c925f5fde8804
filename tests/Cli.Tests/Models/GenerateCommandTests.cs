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
            var prompt = (string)recorded!["prompt"]!;
            var run = await CommandRun.OfAsync("", "generate", "--raw", "--prompt", prompt, "--json", "--logprobs", "3", "--max-tokens", "200");

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

    /// <summary>llama.cpp with keys and values in f32 is within 2e-5 of double precision, and so are we.</summary>
    [SharedFact("models/stories260K.gguf")]
    public async Task With_keys_and_values_in_f32_the_log_probabilities_are_llama_cpps()
    {
        foreach (var recorded in GreedyFixture.Read("stories260K-f32kv").Cases.Take(2))
        {
            var run = await CommandRun.OfAsync(
                "", "generate", "--model", SharedFiles.Shared("models/stories260K.gguf"), "--raw", "--prompt", recorded.Prompt, "--json", "--logprobs", "1",
                "--max-tokens", $"{recorded.Tokens.Length}", "--kv-type", "f32");

            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            var steps = JsonNode.Parse(run.Output)!["logprobs"]!.AsArray();
            Assert.Equal(recorded.Tokens, steps.Select(step => (int)step!["id"]!));
            foreach (var (wanted, got) in recorded.Steps.Zip(steps)) Assert.Equal(wanted.Logprob, (double)got!["logprob"]!, 1e-4);
        }
    }

    [Fact]
    public async Task A_stop_id_that_has_a_text_of_its_own_is_not_shown()
    {
        using var folder = new TempFolder();
        foreach (var file in Directory.GetFiles(SharedFiles.Demo("hf"))) File.Copy(file, folder.File(Path.GetFileName(file)));
        File.WriteAllText(folder.File("generation_config.json"), """{"bos_token_id":2043,"eos_token_id":[2044,2047,803]}""");
        string[] question = ["generate", "--model", folder.Path, "--prompt", "What is pipeline parallelism?"];

        var shown = await CommandRun.OfAsync("", question);
        var answer = JsonNode.Parse((await CommandRun.OfAsync("", [.. question, "--json"])).Output)!;

        Assert.Equal(("stop", "[47,803]"), ((string)answer["finish_reason"]!, answer["tokens"]!.ToJsonString()));
        Assert.Equal(shown.Output, $"{(string)answer["text"]!}\n");
        Assert.Equal("P\n", shown.Output);
    }

    [Fact]
    public async Task More_tokens_than_there_is_memory_for_are_refused_with_the_arithmetic()
    {
        const string huge = "shape:hidden=512,layers=16,ffn=96,heads=8,vocab=80,context=134217728;type=q4_0";

        var run = await CommandRun.OfAsync("", "generate", "--model", huge, "--raw", "--prompt", "abc", "--max-tokens", "2147483647");

        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Matches(@"of weights \+ 4398\.05 GB of KV cache for 134217728 tokens \+ .* GB are free;", run.ErrorLine);
        Assert.Matches(@"; \d+ tokens would fit: give a smaller --max-tokens$", run.ErrorLine);
        Assert.Equal(0, (await CommandRun.OfAsync("", "generate", "--model", huge, "--raw", "--prompt", "abc", "--max-tokens", "2")).ExitCode);
    }

    [Theory]
    [InlineData("generate", "--prompt", "x")]
    [InlineData("perplexity", "--file", "text")]
    public async Task What_is_no_whole_model_says_what_to_give(params string[] command)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("text"), "Some text.");
        if (command[0] == "perplexity") command[2] = folder.File("text");
        Directory.CreateDirectory(folder.File("folder"));
        File.Copy(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), folder.File("folder/model.gguf"));

        async Task ExpectAsync(string path, string problem)
        {
            var run = await CommandRun.OfAsync("", [.. command, "--model", path]);
            Assert.Equal((1, ""), (run.ExitCode, run.Output));
            Assert.Contains(problem, run.ErrorLine);
        }

        await ExpectAsync(SharedFiles.Demo("hf/model.safetensors"), "give the folder that it is in");
        await ExpectAsync(SharedFiles.Demo("hf/config.json"), "give the folder that it is in");
        await ExpectAsync(folder.File("folder"), "model.gguf");
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
            "Pipeline parallelism splits a model by layers. "
            + "Each worker holds some of the layers, runs them and passes the activations to the next worker.\n", run.Output);
    }

    [Fact]
    public async Task An_answer_cut_at_the_limit_says_length()
    {
        var run = await CommandRun.OfAsync("", "generate", "--prompt", "What is pipeline parallelism?", "--max-tokens", "3", "--json");

        var answer = JsonNode.Parse(run.Output)!;
        var (reason, tokens, text) = ((string)answer["finish_reason"]!, answer["tokens"]!.ToJsonString(), (string)answer["text"]!);
        Assert.Equal(("length", "[47,803,772]", "Pipeline"), (reason, tokens, text[..8]));
        Assert.All(answer["logprobs"]!.AsArray(), step => Assert.Empty(step!["top"]!.AsArray()));
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_answer()
    {
        Task<CommandRun> Answer() => CommandRun.OfAsync(
            "", "generate", "--prompt", "Tell me a story.", "--temperature", "1.5", "--seed", "18446744073709551615", "--max-tokens", "24");

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
