using System.Net.Http.Json;
using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Adapters on real workers: they reach every shard, change nothing for others, and survive the loss of a worker.</summary>
public sealed class AdapterClusterTests : IDisposable
{
    const int Tokens = 24;

    readonly TempFolder _folder = new();
    readonly CoordinatorOptions _options;

    public AdapterClusterTests()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        var first = new SyntheticAdapter(model.Config) { Seed = 3, Type = TensorType.F16, Rank = 8 };
        var second = new SyntheticAdapter(model.Config) { Seed = 4, Rank = 3, Changes = target => target.Part is "attn_q" or "attn_v" };
        _options = TestCluster.Options with
        {
            Adapters = new AdapterOptions
            {
                Adapters = [("first", first.WriteGguf(_folder.File("first.gguf"))), ("second", second.WritePeft(_folder.File("second")))],
            },
        };
    }

    [Fact]
    public async Task Stages_give_the_same_bits_together_and_after_the_loss_of_a_worker_and_nothing_is_shared()
    {
        await using var alone = await RealCluster.StartAsync(1, _options);
        var (plain, first, second) = (await RunAsync(alone, null), await RunAsync(alone, "first"), await RunAsync(alone, "second"));
        Assert.Equal(DemoCase.All[0].Tokens.Take(Tokens), plain.Take(Tokens).Select(score => score.Id).Take(DemoCase.All[0].Tokens.Length));
        Assert.NotEqual(plain, first);
        Assert.NotEqual(plain, second);
        Assert.NotEqual(first, second);

        await using var cluster = await RealCluster.StartAsync(2, _options);
        string?[] asked = ["first", null, "second", "first", null];
        var together = await Task.WhenAll(asked.Select(name => RunAsync(cluster, name))).Soon();
        foreach (var (name, scores) in asked.Zip(together)) Assert.Equal(name switch { "first" => first, "second" => second, _ => plain }, scores);

        await cluster.AddAsync();
        await cluster.StopAsync(0);
        await cluster.Coordinator.ReadyAsync(afterView: 1);
        Assert.Equal(first, await RunAsync(cluster, "first"));
    }

    [Fact]
    public async Task Ranks_give_the_same_tokens_until_a_near_tie()
    {
        await using var alone = await RealCluster.StartAsync(1, _options);
        await using var ranks = await RealCluster.StartAsync(2, _options with { TensorParallel = 2 });
        foreach (var name in new[] { "first", "second" })
        {
            var (expected, actual) = (await RunAsync(alone, name), await RunAsync(ranks, name));
            Assert.Equal(expected[..4].Select(score => score.Id), actual[..4].Select(score => score.Id));
            Assert.All(expected[..4].Zip(actual), pair => Assert.InRange(pair.First.Logprob - pair.Second.Logprob, -0.1f, 0.1f));
        }
    }

    [Fact]
    public async Task Prefixes_are_shared_among_sequences_of_one_adapter_only()
    {
        await using var cluster = await RealCluster.StartAsync(1, _options);
        int[] prompt = [.. Enumerable.Repeat(DemoCase.All[0].Prompt, 10).SelectMany(ids => ids).Take(40)];
        foreach (var (name, cached) in new[] { (null, 0), ("first", 0), ("first", 39), ("second", 0), (null, 39), ("second", 39) })
        {
            var events = await cluster.Coordinator.GenerateAsync(Request(cluster, name, prompt, 2)).Soon();
            Assert.Equal(cached, Assert.IsType<SequenceEvent.Begun>(events[0]).CachedTokens);
        }
    }

    [Fact]
    public async Task Requests_name_an_adapter_as_their_model()
    {
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        var models = (await http.GetFromJsonAsync<JsonElement>("/v1/models")).GetProperty("data").EnumerateArray().ToArray();
        var name = cluster.Coordinator.Host.Model.Name;
        Assert.Equal([name, "first", "second"], models.Select(one => one.GetProperty("id").GetString()));
        Assert.Equal(name, models[1].GetProperty("parent").GetString());

        async Task<(string? Model, string? Text)> AskAsync(object body)
        {
            using var response = await http.PostAsJsonAsync("/v1/completions", body);
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
            return (answer.GetProperty("model").GetString(), answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }
        var plain = await AskAsync(new { prompt = "A worker", max_tokens = 8, temperature = 0 });
        var adapted = await AskAsync(new { model = "first", prompt = "A worker", max_tokens = 8, temperature = 0 });
        Assert.Equal((name, "first"), (plain.Model, adapted.Model));
        Assert.NotEqual(plain.Text, adapted.Text);
        Assert.Equal(
            adapted, await AskAsync(new { lora_request = new { lora_name = "first", lora_int_id = 1 }, prompt = "A worker", max_tokens = 8, temperature = 0 }));
        Assert.Equal(plain, await AskAsync(new { model = name, prompt = "A worker", max_tokens = 8, temperature = 0 }));
    }

    [Fact]
    public async Task A_vocabulary_of_its_own_is_used_for_text_ids_grammars_and_answers_in_every_split()
    {
        const int Added = WideDemoAdapter.FirstOwn;
        string wide;
        using (var model = ModelFiles.Open(TestCluster.Options.ModelPath)) wide = WideDemoAdapter.Write(_folder.File("wide"), model.Config);
        var options = _options with { Adapters = _options.Adapters with { Adapters = [("wide", wide), .. _options.Adapters.Adapters] } };
        int[] prompt = [.. DemoCase.All[0].Prompt, Added + 2, Added + 5];
        (int, float)[] alone;
        await using (var one = await RealCluster.StartAsync(1, options)) alone = await RunAsync(one, "wide", prompt);
        await using var cluster = await RealCluster.StartAsync(2, options);
        Assert.Equal(alone, (await Task.WhenAll(RunAsync(cluster, "wide", prompt), RunAsync(cluster, "first"), RunAsync(cluster, null)).Soon())[0]);

        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        async Task<JsonElement> AskAsync(string path, object body, int status = 200)
        {
            using var response = await http.PostAsJsonAsync(path, body).Soon();
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.True((int)response.StatusCode == status, answer.GetRawText());
            return answer;
        }
        var ids = (await AskAsync("/tokenize", new { model = "wide", prompt = "A zyxw3" })).GetProperty("tokens")
            .EnumerateArray().Select(id => id.GetInt32()).ToArray();
        Assert.Equal(Added + 3, ids[^1]);
        Assert.DoesNotContain((await AskAsync("/tokenize", new { prompt = "A zyxw3" })).GetProperty("tokens").EnumerateArray(), id => id.GetInt32() >= Added);
        Assert.EndsWith("A zyxw3", (await AskAsync("/detokenize", new { model = "wide", tokens = ids })).GetProperty("prompt").GetString());
        await AskAsync("/detokenize", new { tokens = ids }, status: 400);

        var bias = new Dictionary<string, int> { [$"{Added + 3}"] = 100 };
        var choice = (await AskAsync("/v1/completions", new { model = "wide", prompt, max_tokens = 3, temperature = 0, logprobs = 1, logit_bias = bias }))
            .GetProperty("choices")[0];
        Assert.Equal("zyxw3zyxw3zyxw3", choice.GetProperty("text").GetString());
        Assert.Equal("zyxw3", choice.GetProperty("logprobs").GetProperty("tokens")[2].GetString());
        await AskAsync("/v1/completions", new { prompt = "A", logit_bias = bias }, status: 400);
        var chosen = await AskAsync("/v1/completions", new
        {
            model = "wide",
            prompt = "A",
            max_tokens = 12,
            guided_choice = new[] { "zyxw6" },
            logprobs = 0,
            logit_bias = new Dictionary<string, int> { [$"{Added + 6}"] = 100 },
        });
        Assert.Equal("zyxw6", chosen.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal("zyxw6", chosen.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("tokens")[0].GetString());
    }

    [Fact]
    public void Adapters_that_cannot_be_served_are_refused_by_name()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        var path = new SyntheticAdapter(model.Config) { Rank = 9 }.WriteGguf(_folder.File("a.gguf"));
        AssertRefused<InvalidOptionsException>(new AdapterOptions { Adapters = [("a", path)], MaxRank = 8 }, "--lora a: its rank is 9; --max-lora-rank is 8");
        AssertRefused<InvalidOptionsException>(new AdapterOptions { Adapters = [("a", path), ("a", path)] }, "--lora a: there is a model of this name already");
        AssertRefused<InvalidOptionsException>(new AdapterOptions { Adapters = [("m", path)] }, "--lora m: there is a model of this name already", "m");
        var other = new SyntheticAdapter(model.Config with { HiddenSize = 32 }).WriteGguf(_folder.File("b.gguf"));
        AssertRefused<ModelFormatException>(new AdapterOptions { Adapters = [("b", other)] }, "the adapter is for another model");
        Assert.Equal("--lora names 2 adapters; --max-loras is 1", new AdapterOptions { Adapters = [("a", path), ("b", path)], MaxAdapters = 1 }.FirstProblem());
        Assert.Equal("--max-lora-rank is 0; it must be from 1 to 1024", new AdapterOptions { MaxRank = 0 }.FirstProblem());
        Assert.Contains("'a b' has not", new AdapterOptions { Adapters = [("a b", path)] }.FirstProblem());

        void AssertRefused<T>(AdapterOptions options, string expected, string name = "model") where T : Exception =>
            Assert.Contains(expected, Assert.Throws<T>(() => AdapterRegistry.Open(options, model.Config, name).Dispose()).Message);
    }

    public void Dispose() => _folder.Dispose();

    static SequenceRequest Request(RealCluster cluster, string? name, int[] prompt, int tokens)
    {
        var adapters = cluster.Coordinator.Host.Services.GetRequiredService<AdapterRegistry>();
        return TestCluster.Request(prompt, tokens) with
        {
            Adapter = name is null ? null : SequenceAdapter.Of(adapters.Find(name)!),
            Sampling = new SamplingOptions { TopLogprobs = 0 },
        };
    }

    static async Task<(int Id, float Logprob)[]> RunAsync(RealCluster cluster, string? name, int[]? prompt = null)
    {
        var events = await cluster.Coordinator.GenerateAsync(Request(cluster, name, prompt ?? DemoCase.All[0].Prompt, Tokens)).Soon();
        Assert.IsType<SequenceEvent.Finished>(events[^1]);
        return [.. events.OfType<SequenceEvent.Token>().Select(token => (token.Sampled.Id, token.Sampled.Logprob))];
    }
}
