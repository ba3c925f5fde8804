using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Coordinator.Tests;

public sealed class PrefixWorkTests(ITestOutputHelper output)
{
    const int Requests = 32;
    const int Prefix = 400;
    const int Own = 16;
    const int Generated = 8;

    /// <summary>Rows of prompts that are computed for 32 requests with 400 tokens in common, and the texts.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_common_prefix_is_computed_once(int workers)
    {
        var (plain, plainTexts) = await RunAsync(workers, cachePrefixes: false);
        var (shared, sharedTexts) = await RunAsync(workers, cachePrefixes: true);
        output.WriteLine($"{plain} rows of prompts without the cache, {shared} with it: {1 - shared / plain:P1} less");

        Assert.Equal(Requests * (Prefix + Own), plain);
        Assert.InRange(shared, Prefix, 0.15 * plain);
        Assert.Equal(plainTexts, sharedTexts);
    }

    static async Task<(double Rows, int[][] Texts)> RunAsync(int workers, bool cachePrefixes)
    {
        var engine = new EngineOptions { CachePrefixes = cachePrefixes, Speculate = false };
        await using var cluster = await RealCluster.StartAsync(workers, TestCluster.Options with { Engine = engine });
        using var metrics = new MeterSums(cluster.Coordinator);
        var texts = await Task.WhenAll(Enumerable.Range(0, Requests).Select(number => cluster.Coordinator.TokensAsync(Request(number)))).Soon();
        // Each token but a request's first took a row of its own.
        return (metrics["llamacluster.step.rows"] - Requests * (Generated - 1), texts);
    }

    static SequenceRequest Request(int number) =>
        TestCluster.Request([.. DemoCase.Text(Prefix), .. DemoCase.Text(2 * Requests + Own).Skip(2 * number).Take(Own - 1), 10 + number], Generated);
}
