using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Texts with guessed tokens beside the same ones without, by real workers and the demo model.</summary>
public sealed class SpeculationTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Guessing_changes_no_bit(int workers)
    {
        var requests = Requests().ToArray();
        await using var plain = await RealCluster.StartAsync(1, WithEngine(new EngineOptions { Speculate = false, CachePrefixes = false }));
        // 28 blocks for sequences that come to need 5 to 11 each: some give way to others.
        await using var guessing = await RealCluster.StartAsync(workers, WithEngine(new EngineOptions { KvTokens = 28 * 16 }));
        using var metrics = new MeterSums(guessing.Coordinator);

        List<IReadOnlyList<string>> expected = [];
        foreach (var request in requests) expected.Add(AnswerBits.Of(await plain.Coordinator.GenerateAsync(request).Soon()));
        for (var i = 0; i < requests.Length; i++) Assert.Equal(expected[i], AnswerBits.Of(await guessing.Coordinator.GenerateAsync(requests[i]).Soon()));
        var (drafted, accepted) = (metrics["llamacluster.speculation.drafted"], metrics["llamacluster.speculation.accepted"]);
        Assert.InRange(accepted, requests.Length, drafted - requests.Length);

        var together = await Task.WhenAll(requests.Select(request => guessing.Coordinator.GenerateAsync(request))).Soon();
        Assert.All(together.Zip(expected), pair => Assert.Equal(pair.Second, AnswerBits.Of(pair.First)));
        Assert.True(metrics["llamacluster.preemptions"] > 0, "nobody gave way");
        Assert.True(metrics["llamacluster.prefix_cache.hits"] > 0, "nothing was shared");
    }

    [Fact]
    public async Task Nothing_is_guessed_where_chance_chooses_or_the_operator_says_so()
    {
        var chance = TestCluster.Request(DemoCase.Text(60), 40) with { Sampling = new SamplingOptions { Temperature = 0.3f, Seed = 1 } };
        await using var cluster = await RealCluster.StartAsync(1);
        await using var without = await RealCluster.StartAsync(1, WithEngine(new EngineOptions { Speculate = false }));
        using var metrics = new MeterSums(cluster.Coordinator);
        using var none = new MeterSums(without.Coordinator);

        await cluster.Coordinator.TokensAsync(chance);
        await without.Coordinator.TokensAsync(TestCluster.Request(DemoCase.Text(60), 40));

        Assert.Equal((0, 0), (metrics["llamacluster.speculation.drafted"], none["llamacluster.speculation.drafted"]));
    }

    static CoordinatorOptions WithEngine(EngineOptions engine) => TestCluster.Options with { Engine = engine };

    /// <summary>What the model likes to repeat, and what a penalty, a bias or a stop changes within a guess.</summary>
    static IEnumerable<SequenceRequest> Requests()
    {
        foreach (var prompt in DemoCase.All.Select(one => one.Prompt).Append(DemoCase.Text(120)).Append([5, 6, 7, 5, 6, 7, 5, 6, 7]))
        {
            var request = TestCluster.Request(prompt, 50);
            yield return request;
            yield return request with { Sampling = new SamplingOptions { TopLogprobs = 3 } };
            yield return request with { Sampling = new SamplingOptions { RepetitionPenalty = 1.05f, FrequencyPenalty = 0.1f } };
            yield return request with
            {
                Sampling = new SamplingOptions { PromptLogprobs = true, TopLogprobs = 0, LogitBias = new Dictionary<int, float> { [prompt[^1]] = 3 } },
            };
            int[] ends = [.. prompt.Skip(2).Take(4)];
            yield return request with { StopIds = ends.ToHashSet() };
            yield return request with { StopIds = ends.ToHashSet(), Sampling = new SamplingOptions { MinTokens = 30, EndIds = ends } };
        }
    }
}
