using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using LlamaCluster.Coordinator.Adapters;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Adapters that are loaded and unloaded while a cluster of real workers runs.</summary>
public sealed class AdapterChangeTests : IDisposable
{
    const int Tokens = 24;

    /// <summary>As few unread tokens as an option allows: a stream that nobody reads stops soon.</summary>
    const int Unread = 16;

    readonly TempFolder _folder = new();
    readonly TempFolder _elsewhere = new();
    readonly CoordinatorOptions _options;

    public AdapterChangeTests()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        new SyntheticAdapter(model.Config) { Seed = 3, Type = TensorType.F16, Rank = 8 }.WriteGguf(_folder.File("first.gguf"));
        new SyntheticAdapter(model.Config) { Seed = 4, Rank = 3 }.WritePeft(_folder.File("second"));
        new SyntheticAdapter(model.Config) { Seed = 5, Rank = 2 }.WriteGguf(_elsewhere.File("outside.gguf"));
        _options = TestCluster.Options with
        {
            Adapters = new AdapterOptions { Folders = [_folder.Path], MaxRank = 8, MaxAdapters = 2 },
            Engine = TestCluster.Options.Engine with { MaxUnreadTokens = Unread },
        };
    }

    [Fact]
    public void A_folder_may_be_the_root_and_may_end_in_a_slash()
    {
        var path = _folder.File("first.gguf");
        Assert.Equal(path, new AdapterFolders(["/"]).Find(path));
        Assert.Equal(path, new AdapterFolders([_folder.Path + "/"]).Find("first.gguf"));
        Assert.Null(new AdapterFolders([_folder.Path]).Find(_elsewhere.File("outside.gguf")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(2)]
    public async Task What_is_loaded_is_used_and_what_is_unloaded_lasts_as_long_as_its_sequences(int? ranks)
    {
        await using var cluster = await RealCluster.StartAsync(2, _options with { TensorParallel = ranks });
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        var view = cluster.Coordinator.Host.Status.Value.ViewVersion;
        Assert.Equal(HttpStatusCode.NotFound, await CompleteAsync(http, "first"));
        var plain = await RunAsync(cluster, null);

        Assert.Equal((HttpStatusCode.OK, "Success: LoRA adapter 'first' added successfully."), await LoadAsync(http, "first", "first.gguf"));
        var digest = Adapters(cluster).Find("first")!.Digest;
        var first = await RunAsync(cluster, digest);
        Assert.NotEqual(plain, first);
        Assert.Equal(HttpStatusCode.OK, await CompleteAsync(http, "first"));
        Assert.Equal([cluster.Coordinator.Host.Model.Name, "first"], await NamesAsync(http));

        await using var running = cluster.Coordinator.Engine.GenerateAsync(Request(digest, 4 * Unread), default).GetAsyncEnumerator();
        Assert.True(await running.MoveNextAsync().AsTask().Soon());
        var series = (await http.GetStringAsync("/metrics").Soon()).Split('\n').Single(line =>
            line.StartsWith("vllm:lora_requests_info{", StringComparison.Ordinal)
            && line.Contains("running_lora_adapters=\"first\"", StringComparison.Ordinal));
        Assert.Contains("max_lora=\"2\"", series, StringComparison.Ordinal);
        Assert.Contains("waiting_lora_adapters=\"\"", series, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.OK, "Success: LoRA adapter 'first' removed successfully."), await PostAsync(http, "unload", new { lora_name = "first" }));
        Assert.Equal(HttpStatusCode.NotFound, await CompleteAsync(http, "first"));
        Assert.Equal([cluster.Coordinator.Host.Model.Name], await NamesAsync(http));
        Assert.Single(Adapters(cluster).Now.Held);

        Assert.Equal(HttpStatusCode.OK, (await LoadAsync(http, "second", _folder.File("second"))).Status);   // beside the one that is still used
        Assert.NotEqual(plain, await RunAsync(cluster, Adapters(cluster).Find("second")!.Digest));
        List<SequenceEvent> rest = [];
        while (await running.MoveNextAsync().AsTask().Soon()) rest.Add(running.Current);
        Assert.IsType<SequenceEvent.Finished>(rest[^1]);
        Assert.Equal(first, ScoresOf(rest)[..Tokens]);

        var set = await Adapters(cluster).WaitAsync(now => now.Held.Length == 1, default).Soon("the first one is let go");
        Assert.Equal("second", set.Held[0].Name);
        Assert.IsType<SequenceEvent.Refused>(Assert.Single(await cluster.Coordinator.GenerateAsync(Request(digest, 1))));
        Assert.Equal(plain, await RunAsync(cluster, null));
        Assert.Equal(view, cluster.Coordinator.Host.Status.Value.ViewVersion);
    }

    [Fact]
    public async Task A_stream_with_an_unloaded_adapter_survives_the_loss_of_a_worker_and_who_takes_over_has_the_set_of_then()
    {
        await using var cluster = await RealCluster.StartAsync(2, _options);
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        await LoadAsync(http, "first", "first.gguf");
        var first = await RunAsync(cluster, Adapters(cluster).Find("first")!.Digest);
        await using var running = cluster.Coordinator.Engine
            .GenerateAsync(Request(Adapters(cluster).Find("first")!.Digest, 4 * Unread), default).GetAsyncEnumerator();
        Assert.True(await running.MoveNextAsync().AsTask().Soon());
        await PostAsync(http, "unload", new { lora_name = "first" });
        await LoadAsync(http, "second", "second");
        var second = await RunAsync(cluster, Adapters(cluster).Find("second")!.Digest);

        await cluster.AddAsync();
        await cluster.StopAsync(0);
        List<SequenceEvent> rest = [];
        while (await running.MoveNextAsync().AsTask().Soon()) rest.Add(running.Current);
        Assert.Equal(first, ScoresOf(rest)[..Tokens]);
        await cluster.Coordinator.ReadyAsync(afterView: 1);
        Assert.Equal(second, await RunAsync(cluster, Adapters(cluster).Find("second")!.Digest));
    }

    [Fact]
    public async Task What_cannot_be_loaded_is_refused_by_name()
    {
        File.CreateSymbolicLink(_folder.File("link.gguf"), _elsewhere.File("outside.gguf"));
        File.WriteAllText(_folder.File("text.gguf"), "no adapter");
        Directory.CreateDirectory(_folder.File("linked"));
        File.CreateSymbolicLink(_folder.File("linked/adapter_config.json"), _elsewhere.File("outside.gguf"));
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        foreach (var path in new[]
        {
            _elsewhere.File("outside.gguf"), "link.gguf", "linked", "missing", "..", ".", $"../{Path.GetFileName(_elsewhere.Path)}/outside.gguf",
            "/etc/passwd", "a\0b",
        })
            await AssertRefusedAsync(HttpStatusCode.NotFound, "There is no adapter", "a", path);
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "The adapter 'a' is not loaded: ", "a", "text.gguf");
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "'a b' has not", "a b", "first.gguf");
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "'lora_path' is required", "a", "");
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "is loaded already", cluster.Coordinator.Host.Model.Name, "first.gguf");
        Assert.Equal(HttpStatusCode.OK, (await LoadAsync(http, "a", "first.gguf")).Status);
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "set 'load_inplace' to true", "a", "second");
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(http, "load", new { lora_name = "a", lora_path = "second", load_inplace = true })).Status);
        Assert.Equal(3, Adapters(cluster).Find("a")!.Weights.MaxRank);
        Assert.Equal(HttpStatusCode.OK, (await LoadAsync(http, "b", "second")).Status);   // the same under another name
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "(--max-loras)", "c", "first.gguf");
        Assert.Equal(HttpStatusCode.NotFound, (await PostAsync(http, "unload", new { lora_name = "c" })).Status);
        Assert.Equal(2, Adapters(cluster).Now.Held.Length);

        async Task AssertRefusedAsync(HttpStatusCode expected, string says, string name, string path)
        {
            var (status, text) = await LoadAsync(http, name, path);
            Assert.True(status == expected && text.Contains(says, StringComparison.Ordinal), $"{name} {path}: {status} {text}");
        }
    }

    [Fact]
    public async Task Workers_that_have_no_room_refuse_and_the_rest_goes_on()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        new SyntheticAdapter(model.Config) { Seed = 6, Rank = 256 }.WriteGguf(_folder.File("large.gguf"));
        await using var cluster = await RealCluster.StartAsync(
            1, _options with { Adapters = _options.Adapters with { MaxRank = 256 } }, usual => usual with { MemoryBytes = 27 << 20 });
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        var (status, text) = await LoadAsync(http, "large", "large.gguf");
        Assert.True(
            status == HttpStatusCode.BadRequest && text.Contains("adapters take ", StringComparison.Ordinal)
                && text.Contains("would fit", StringComparison.Ordinal),
            text);
        Assert.Empty(Adapters(cluster).Now.Held);
        await RunAsync(cluster, null);
    }

    [Theory]
    [InlineData(64, 0, HttpStatusCode.OK, "added successfully")]
    [InlineData(0, 0, HttpStatusCode.BadRequest, "adapters take ")]
    [InlineData(64, 2100, HttpStatusCode.OK, "added successfully")]
    public async Task The_KV_cache_leaves_the_room_that_is_kept(int ranks, int vocabulary, HttpStatusCode expected, string says)
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        var adapter = new SyntheticAdapter(model.Config)
        {
            Rank = 16,
            Type = TensorType.F16,
            WholeRows = vocabulary == 0 ? null : model.Config.VocabularySize,
            Changes = target => target.Layer is not null,
        };
        adapter.WritePeft(_folder.File("kept"));
        var options = _options with { Adapters = _options.Adapters with { MaxRank = 16, RoomRanks = ranks, RoomVocabulary = vocabulary } };
        await using var cluster = await RealCluster.StartAsync(1, options, usual => usual with { MemoryBytes = 32 << 20 });   // more KV is wanted than that
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        var (status, text) = await LoadAsync(http, "kept", "kept");
        Assert.True(status == expected && text.Contains(says, StringComparison.Ordinal), text);
    }

    [Fact]
    public async Task A_larger_vocabulary_than_there_is_room_for_is_refused()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        var adapter = new SyntheticAdapter(model.Config) { WholeRows = model.Config.VocabularySize + 1, Changes = target => target.Layer is 0 };
        File.Copy(
            Path.Combine(SharedFiles.Demo("hf"), "tokenizer.json"),
            Path.Combine(Directory.CreateDirectory(_folder.File("more")).FullName, "tokenizer.json"));
        adapter.WritePeft(_folder.File("more"));
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        var (status, text) = await LoadAsync(http, "more", "more");
        Assert.True(
            status == HttpStatusCode.BadRequest && text.Contains("start the coordinator with --lora-room-vocabulary 2049", StringComparison.Ordinal), text);
    }

    [Fact]
    public async Task Without_a_folder_nothing_is_loaded_or_unloaded()
    {
        await using var cluster = await TestCluster.StartAsync(
            _options with { Adapters = new AdapterOptions { Adapters = [("first", _folder.File("first.gguf"))] } });
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        foreach (var (status, text) in new[]
        {
            await LoadAsync(http, "second", _folder.File("second")),
            await PostAsync(http, "unload", new { lora_name = "first" }),
        })
            Assert.True(status == HttpStatusCode.NotFound && text.Contains("--lora-dir", StringComparison.Ordinal), text);
        Assert.Equal("--lora-dir /nowhere: there is no such folder", new AdapterOptions { Folders = ["/nowhere"] }.FirstProblem());
    }

    public void Dispose()
    {
        _folder.Dispose();
        _elsewhere.Dispose();
    }

    static AdapterRegistry Adapters(RealCluster cluster) => cluster.Coordinator.Host.Services.GetRequiredService<AdapterRegistry>();

    static Task<(HttpStatusCode Status, string Text)> LoadAsync(HttpClient http, string name, string path) =>
        PostAsync(http, "load", new { lora_name = name, lora_path = path });

    static async Task<(HttpStatusCode Status, string Text)> PostAsync(HttpClient http, string what, object body)
    {
        using var response = await http.PostAsJsonAsync($"/v1/{what}_lora_adapter", body).Soon();
        return (response.StatusCode, (await response.Content.ReadAsStringAsync()).Replace("\\u0027", "'"));
    }

    static async Task<HttpStatusCode> CompleteAsync(HttpClient http, string name)
    {
        using var response = await http.PostAsJsonAsync("/v1/completions", new { model = name, prompt = "A worker", max_tokens = 2 }).Soon();
        return response.StatusCode;
    }

    static async Task<string[]> NamesAsync(HttpClient http) =>
        [.. (await http.GetFromJsonAsync<JsonElement>("/v1/models").Soon()).GetProperty("data").EnumerateArray()
            .Select(one => one.GetProperty("id").GetString()!)];

    static SequenceRequest Request(string? digest, int tokens) => TestCluster.Request(DemoCase.All[0].Prompt, tokens) with
    {
        Adapter = digest is null ? null : new SequenceAdapter(digest),
        Sampling = new SamplingOptions { TopLogprobs = 0 },
    };

    static async Task<(int Id, float Logprob)[]> RunAsync(RealCluster cluster, string? digest)
    {
        var events = await cluster.Coordinator.GenerateAsync(Request(digest, Tokens)).Soon();
        Assert.IsType<SequenceEvent.Finished>(events[^1]);
        return ScoresOf(events);
    }

    static (int Id, float Logprob)[] ScoresOf(IEnumerable<SequenceEvent> events) =>
        [.. events.OfType<SequenceEvent.Token>().Select(token => (token.Sampled.Id, token.Sampled.Logprob))];
}
