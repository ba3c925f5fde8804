using System.Net;
using System.Text;
using System.Text.Json;
using LlamaCluster.Model.Config;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`up` with models of other layers than Llama's: stages and ranks of worker processes give the same tokens.</summary>
public sealed class KindsOfLayersTests : IDisposable
{
    readonly TempFolder _folder = new();

    static SyntheticModel Llama4 { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 5,
            Experts = new ExpertMixture { Count = 6, UsedCount = 1, FfnSize = 64, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
            Chunks = ChunkedAttention.Llama4,
            QueryScale = QueryScale.Llama4,
            NormsHeads = true,
        },
    };

    /// <summary>All of its ids are bytes, since files and folders write others differently.</summary>
    static SyntheticModel Mixtral { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            VocabularySize = ByteVocabulary.LeastSize,
            Experts = new ExpertMixture { Count = 4, UsedCount = 2, FfnSize = 96, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false },
        },
    };

    /// <summary>With YaRN, queries that grow with their position, a sliding window and biases: all that attention may have.</summary>
    static SyntheticModel Mistral3 { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            VocabularySize = ByteVocabulary.LeastSize,
            RopeScaling = new RopeScaling.Yarn(16, 16, 32, 1, 1),
            QueryScale = new QueryScale(Growth: 0.1f, Span: 16, Offset: 0),
            Biases = AttentionBiases.Inputs | AttentionBiases.Output,
            Window = 24,
        },
    };

    /// <summary>The stage of the layers 1 and 2 keeps no KV.</summary>
    static SyntheticModel Nemotron { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 5,
            VocabularySize = ByteVocabulary.LeastSize,
            Sizes = new SizesOfLayers([new(4, 2, 96), new(4, 0, 64), new(0, 0, 96), new(0, 0, 0), new(4, 1, 0)]),
        },
    };

    [Fact]
    public async Task A_Nemotron_gives_the_same_tokens_as_a_file_over_stages_and_as_a_folder_over_ranks()
    {
        var expected = await TextOfAsync(Nemotron.WriteGguf(_folder.File("nemotron.gguf")), "--workers", "3");
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await TextOfAsync(Nemotron.WriteHuggingFace(_folder.File("nemotron")), "--workers", "2", "--tensor-parallel", "2"));
    }

    [Fact]
    public async Task Llama_4_gives_the_same_tokens_on_any_shape()
    {
        var model = Llama4.WriteGguf(_folder.File("llama4.gguf"));
        var expected = await TextOfAsync(model, "--workers", "3");
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await TextOfAsync(model, "--workers", "2", "--tensor-parallel", "2", "--expert-parallel", "off"));
    }

    [Fact]
    public async Task A_folder_of_Mixtral_gives_the_tokens_of_its_file()
    {
        var expected = await TextOfAsync(Mixtral.WriteGguf(_folder.File("mixtral.gguf")), "--workers", "1");
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await TextOfAsync(Mixtral.WriteHuggingFace(_folder.File("mixtral")), "--workers", "2"));
    }

    /// <summary>The spare gets the place of the rank that was killed, and with it its experts: the same bits.</summary>
    [Fact]
    public async Task A_stream_goes_on_when_a_rank_with_whole_experts_is_killed()
    {
        const string body = """{"prompt":"Which experts?","max_tokens":900,"temperature":0.7,"seed":5,"logprobs":2,"ignore_eos":true,"stream":true}""";
        var model = (Llama4 with { Config = Llama4.Config with { ContextLength = 1024 } }).WriteGguf(_folder.File("llama4.gguf"));
        await using var cluster = await SpareCluster.StartAsync(3, 2, "--model", model, "--tensor-parallel", "2", "--expert-parallel", "on");
        using (var now = JsonDocument.Parse(await cluster.Http.GetStringAsync("/v1/cluster")))
            Assert.Equal("whole", now.RootElement.GetProperty("replicas")[0].GetProperty("stages")[0].GetProperty("experts").GetString());
        var expected = await (await EventStream.OpenAsync(cluster.Http, body)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, body);
        await stream.ReadAsync(40);
        await cluster.KillServingAsync(0);
        Assert.Equal(expected, await stream.RestAsync());
        Assert.Contains("sequences go on in view", cluster.Coordinator.Log);
    }

    [Fact]
    public async Task Mistral_3_gives_the_same_tokens_as_a_file_and_as_a_folder_on_any_shape()
    {
        var expected = await TextOfAsync(Mistral3.WriteHuggingFace(_folder.File("mistral3")), "--workers", "3");
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await TextOfAsync(Mistral3.WriteGguf(_folder.File("mistral3.gguf")), "--workers", "2", "--tensor-parallel", "2"));
    }

    public void Dispose() => _folder.Dispose();

    static async Task<string> TextOfAsync(string model, params string[] options)
    {
        await using var cluster = await LocalCluster.StartAsync(["--model", model, "--kv-type", "f32", .. options]);
        using var answer = await cluster.Http.PostAsync(
            "/v1/completions",
            new StringContent("""{"prompt":"Which experts?","temperature":0,"max_tokens":24,"ignore_eos":true}""", Encoding.UTF8, "application/json"));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        using var json = JsonDocument.Parse(body);
        return json.RootElement.GetProperty("choices")[0].GetProperty("text").GetString()!;
    }
}
