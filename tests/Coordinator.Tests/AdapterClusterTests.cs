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
            Adapters = new AdapterOptions { Adapters = [("first", first.WriteGguf(_folder.File("first.gguf"))), ("second", second.WritePeft(_folder.File("second")))] },
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
        Assert.Equal(adapted, await AskAsync(new { lora_request = new { lora_name = "first", lora_int_id = 1 }, prompt = "A worker", max_tokens = 8, temperature = 0 }));
        Assert.Equal(plain, await AskAsync(new { model = name, prompt = "A worker", max_tokens = 8, temperature = 0 }));
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
            Adapter = name is null ? null : new SequenceAdapter(adapters.Find(name)!.Digest),
            Sampling = new SamplingOptions { TopLogprobs = 0 },
        };
    }

    static async Task<(int Id, float Logprob)[]> RunAsync(RealCluster cluster, string? name)
    {
        var events = await cluster.Coordinator.GenerateAsync(Request(cluster, name, DemoCase.All[0].Prompt, Tokens)).Soon();
        Assert.IsType<SequenceEvent.Finished>(events[^1]);
        return [.. events.OfType<SequenceEvent.Token>().Select(token => (token.Sampled.Id, token.Sampled.Logprob))];
    }
}
