using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>The coordinator with real workers and the demo model, all in this process, over real connections.</summary>
public sealed class RealWorkersTests
{
    static DemoCase[] Cases => DemoCase.All;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    [InlineData(5, 2)]
    public async Task Any_number_of_stages_and_ranks_gives_what_llama_cpp_gives(int workers, int ranks)
    {
        await using var cluster = await RealCluster.StartAsync(workers, TestCluster.Options with { TensorParallel = ranks });
        var answers = await Task.WhenAll(Cases.Select(one => cluster.Coordinator.TokensAsync(TestCluster.Request(one.Prompt, one.Tokens.Length)))).Soon();
        Assert.All(Cases.Zip(answers), pair => Assert.Equal(pair.First.Tokens, pair.Second));
    }

    [Fact]
    public async Task Neither_company_nor_preemption_nor_the_cut_of_prompts_changes_a_bit()
    {
        var request = TestCluster.Request(Cases[0].Prompt, 40) with { Sampling = new SamplingOptions { Temperature = 0.8f, Seed = 5, TopLogprobs = 3 } };
        await using var alone = await RealCluster.StartAsync(1);
        var expected = await alone.Coordinator.GenerateAsync(request).Soon();
        // 12 blocks for 8 sequences that come to need 4 each, and prompts cut into pieces of 5.
        await using var crowded = await RealCluster.StartAsync(
            2, TestCluster.Options with { Engine = new EngineOptions { KvTokens = 192, MaxPromptRows = 5 } });
        foreach (var events in await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => crowded.Coordinator.GenerateAsync(request))).Soon())
            Assert.Equal(Scores(expected), Scores(events));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(2, 2)]
    public async Task Shared_prefixes_change_no_bit_and_are_reported(int workers, int tensorParallel)
    {
        int[] prompt = [.. Enumerable.Repeat(Cases, 3).SelectMany(cases => cases.SelectMany(one => one.Prompt)).Take(90)];
        SequenceRequest Choice(ulong seed) => TestCluster.Request(prompt, 40) with
        {
            Sampling = new SamplingOptions { Temperature = 0.8f, Seed = seed, RepetitionPenalty = 1.1f, TopLogprobs = 2 },
        };
        var options = TestCluster.Options with { TensorParallel = tensorParallel };
        await using var plain = await RealCluster.StartAsync(tensorParallel, options with { Engine = new EngineOptions { CachePrefixes = false } });
        await using var sharing = await RealCluster.StartAsync(workers, options);

        // Choices of one prompt: it is computed once.
        var choices = await Task.WhenAll(Enumerable.Range(0, 6).Select(seed => sharing.Coordinator.GenerateAsync(Choice((ulong)seed)))).Soon();
        foreach (var (seed, events) in choices.Index()) Assert.Equal(Scores(await plain.Coordinator.GenerateAsync(Choice((ulong)seed)).Soon()), Scores(events));
        Assert.Equal([0, 89, 89, 89, 89, 89], choices.Select(Cached).Order());

        // The next turn of a conversation: prompt and answer are there, as far as they fill blocks. Its last token was sampled but never run.
        int[] next = [.. prompt, .. choices[0].OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id), 7, 8, 9];
        var turn = await sharing.Coordinator.GenerateAsync(TestCluster.Request(next, 20)).Soon();
        Assert.Equal(Scores(await plain.Coordinator.GenerateAsync(TestCluster.Request(next, 20)).Soon()), Scores(turn));
        Assert.Equal((90 + 40 - 1) / 16 * 16, Cached(turn));

        Assert.Equal(0, Cached(await sharing.Coordinator.GenerateAsync(Choice(0) with { CacheSalt = "another" }).Soon()));
        static int Cached(IEnumerable<SequenceEvent> events) => Assert.IsType<SequenceEvent.Begun>(events.First()).CachedTokens;
    }

    [Fact]
    public async Task Thirty_two_requests_with_a_common_prefix_compute_it_once()
    {
        int[] common = [.. Enumerable.Repeat(Cases, 20).SelectMany(cases => cases.SelectMany(one => one.Prompt)).Take(400)];
        SequenceRequest[] requests =
            [.. Enumerable.Range(0, 32).Select(i => TestCluster.Request([.. common, .. Cases[i % Cases.Length].Prompt.Take(4), 5 + i], 8))];
        await using var plain = await RealCluster.StartAsync(1, TestCluster.Options with { Engine = new EngineOptions { CachePrefixes = false } });
        await using var sharing = await RealCluster.StartAsync(2);
        var expected = await Task.WhenAll(requests.Select(request => plain.Coordinator.GenerateAsync(request))).Soon();
        var actual = await Task.WhenAll(requests.Select(request => sharing.Coordinator.GenerateAsync(request))).Soon();
        Assert.All(expected.Zip(actual), pair => Assert.Equal(Scores(pair.First), Scores(pair.Second)));
        var computed = requests.Zip(actual).Sum(pair => pair.First.Prompt.Count - ((SequenceEvent.Begun)pair.Second[0]).CachedTokens);
        Assert.InRange(computed, 1, requests.Sum(request => request.Prompt.Count) * 15 / 100);
    }

    [Fact]
    public async Task A_worker_that_stops_lets_its_requests_finish_and_a_spare_takes_over()
    {
        await using var cluster = await RealCluster.StartAsync(2);
        await cluster.AddAsync();
        var running = cluster.Coordinator.TokensAsync(TestCluster.Request(Cases[0].Prompt, Cases[0].Tokens.Length));
        await cluster.StopAsync(0);
        Assert.Equal(Cases[0].Tokens, await running);
        await cluster.Coordinator.ReadyAsync(afterView: 1);
        Assert.Equal(Cases[0].Tokens, await cluster.Coordinator.TokensAsync(TestCluster.Request(Cases[0].Prompt, Cases[0].Tokens.Length)));
    }

    static IEnumerable<(int Id, float Logprob, string Top)> Scores(IEnumerable<SequenceEvent> events)
        => events.OfType<SequenceEvent.Token>().Select(token => (token.Sampled.Id, token.Sampled.Logprob, string.Join(' ', token.Sampled.Top)));
}
