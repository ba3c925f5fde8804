using System.Net.Http.Json;
using System.Text.Json;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Xunit.Abstractions;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>
/// Adapters of the demo model, served by stages and by ranks, against the demo model that they are merged into, served by one worker: the same greedy text,
/// and log-probabilities close. Nothing is quantised, so that only the order of sums differs.
/// </summary>
public sealed class MergedAdapterTests(ITestOutputHelper output) : IDisposable
{
    const int Tokens = 32;

    /// <summary>Between w x + B (A x) and (w + B A) x, through all layers, with keys and values of 32 bits.</summary>
    const double Tolerance = 1e-4;

    const string Base = "models/demo/llamacluster-demo-5m-f16.gguf";

    static readonly string[] Prompts =
    [
        "<|start_header_id|>user<|end_header_id|>\n\nWhat is a KV cache?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "A worker holds a range of layers",
    ];

    readonly TempFolder _folder = new();

    [Fact]
    public async Task Stages_and_ranks_give_what_the_merged_model_gives()
    {
        CoordinatorOptions Serving(string path) => TestCluster.Options with { ModelPath = path, Engine = new EngineOptions { KvType = KvType.F32 } };
        var (expected, adapters) = (new Dictionary<string, Answer[]>(), new List<(string, string)>());
        using (var model = ModelFiles.Open(SharedFiles.Shared(Base)))
        {
            // The head of the demo model is its embedding. A pair on one of them alone would make them two, as whole ones do.
            var plain = new SyntheticAdapter(model.Config) { Seed = 31, Rank = 4, Alpha = 3, Changes = target => target.Layer is not null };
            var whole = new SyntheticAdapter(model.Config) { Seed = 32, Rank = 8, Alpha = 2, WholeRows = model.Config.VocabularySize };
            adapters.Add(("plain", plain.WriteGguf(_folder.File("plain.gguf"))));
            adapters.Add(("whole", whole.WritePeft(_folder.File("whole"))));
            foreach (var (name, adapter) in new[] { ("plain", plain), ("whole", whole) })
            {
                await using var merged = await RealCluster.StartAsync(1, Serving(WriteMerged(model, adapter, name)));
                expected.Add(name, await AskAsync(merged, null));
            }
        }
        var options = Serving(SharedFiles.Shared(Base)) with { Adapters = new AdapterOptions { Adapters = adapters } };
        foreach (var ranks in new[] { (int?)null, 2 })
        {
            await using var cluster = await RealCluster.StartAsync(2, options with { TensorParallel = ranks });
            var bare = await AskAsync(cluster, null);
            foreach (var (name, answers) in expected)
            {
                var actual = await AskAsync(cluster, name);
                var worst = Worst(answers, actual);
                output.WriteLine($"{name}, {(ranks is null ? "2 stages" : "2 ranks")}: greatest difference of log-probabilities {worst:E1}");
                Assert.Equal(answers.Select(answer => answer.Text), actual.Select(answer => answer.Text));
                Assert.InRange(worst, 0, Tolerance);
                Assert.True(Worst(answers, bare) > 0.1, $"{name} changes something");
            }
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The model of floats of 32 bits, with the text part of the file that it was made from.</summary>
    string WriteMerged(IModelWeights model, SyntheticAdapter adapter, string name)
    {
        using var merged = new MergedWeights(model, adapter);
        using var source = GgufFile.Open(SharedFiles.Shared(Base));
        var pairs = new GgufPairs();
        foreach (var key in source.Metadata.Values.Keys) pairs.Copy(source.Metadata, key);
        var path = _folder.File($"{name}-merged.gguf");
        using var file = File.Create(path);
        GgufWriter.Write(file, pairs, merged, merged.Tensors);
        return path;
    }

    static double Worst(Answer[] expected, Answer[] actual) =>
        expected.Zip(actual, (a, b) => a.Logprobs.Zip(b.Logprobs, (x, y) => Math.Abs(x - y)).Max()).Max();

    static async Task<Answer[]> AskAsync(RealCluster cluster, string? name)
    {
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        return await Task.WhenAll(Prompts.Select(async prompt =>
        {
            using var response = await http.PostAsJsonAsync(
                "/v1/completions", new { model = name, prompt, max_tokens = Tokens, temperature = 0, logprobs = 0, ignore_eos = true });
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
            var choice = answer.GetProperty("choices")[0];
            return new Answer(
                choice.GetProperty("text").GetString()!,
                [.. choice.GetProperty("logprobs").GetProperty("token_logprobs").EnumerateArray().Select(logprob => logprob.GetDouble())]);
        }));
    }

    sealed record Answer(string Text, double[] Logprobs);
}
