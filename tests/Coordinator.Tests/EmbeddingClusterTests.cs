using System.Net.Http.Json;
using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Texts embedded by real workers, all in this process.</summary>
public sealed class EmbeddingClusterTests
{
    const string Long = "The cluster splits the model over workers, and each of them runs some of its layers. ";

    static readonly string[] Texts = ["A worker", .. Enumerable.Range(1, 11).Select(count => string.Concat(Enumerable.Repeat(Long, 1 + count % 5)) + count)];

    [Theory]
    [InlineData(3, 1)]
    [InlineData(2, 2)]
    public async Task Neither_company_nor_preemption_nor_the_cut_of_texts_changes_a_bit(int workers, int ranks)
    {
        var options = TestCluster.Options with { TensorParallel = ranks, Api = new ApiOptions { Pooling = Primitives.Pooling.Mean } };
        await using var plain = await RealCluster.StartAsync(ranks, options);
        List<string> expected = [];
        foreach (var text in Texts) expected.AddRange(await EmbedAsync(plain, text));

        // 16 blocks for sequences that need up to 8 each, cut into pieces of 5, beside streams.
        await using var crowded = await RealCluster.StartAsync(workers, options with { Engine = new EngineOptions { KvTokens = 256, MaxPromptRows = 5 } });
        var streams = Enumerable.Range(0, 3).Select(one => crowded.Coordinator.TokensAsync(TestCluster.Request(DemoCase.All[one].Prompt, 40))).ToArray();
        var several = Task.WhenAll(EmbedAsync(crowded, Texts), EmbedAsync(crowded, Texts));
        Assert.All(await several.Soon(), answer => Assert.Equal(expected, answer));
        foreach (var (one, tokens) in (await Task.WhenAll(streams).Soon()).Index())
            Assert.Equal(DemoCase.All[one].Tokens.Take(40), tokens.Take(DemoCase.All[one].Tokens.Length));
    }

    /// <returns>Each vector in all its bits.</returns>
    static async Task<string[]> EmbedAsync(RealCluster cluster, params string[] texts)
    {
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
        using var response = await http.PostAsJsonAsync("/v1/embeddings", new { input = texts, encoding_format = "base64" });
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
        return [.. answer.GetProperty("data").EnumerateArray().Select(one => one.GetProperty("embedding").GetString()!)];
    }
}
