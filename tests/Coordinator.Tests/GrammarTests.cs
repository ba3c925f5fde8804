using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Text;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Answers of a given form, by real workers and the demo model: the same text however it is computed.</summary>
public sealed class GrammarTests
{
    const string Schema =
        """
        {"type":"object","properties":{"name":{"type":"string","maxLength":12},"kind":{"enum":["cache","worker"]},
        "size":{"type":"integer","minimum":1,"maximum":64},
        "tags":{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3}},"required":["name","kind","size","tags"],"additionalProperties":false}
        """;

    static readonly GrammarSource[] Sources =
    [
        new(GrammarKind.JsonSchema, Schema),
        new(GrammarKind.Choice, """["a cache of keys and values","a worker","a worker that holds one shard"]"""),
        new(GrammarKind.Regex, "([A-Z][a-z]{2,6} ){3,5}\\d{2}\\."),
        new(GrammarKind.Gbnf, "root ::= list\nlist ::= \"(\" item (\", \" item){1,4} \")\"\nitem ::= [a-z]{1,5} | \"[\" list \"]\" | list"),
        GrammarSource.AnyObject,
        new(GrammarKind.Regex, "((red|dark red), green, blue; ){6}done"),
    ];

    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    public async Task The_text_is_the_same_for_any_split_with_guesses_company_and_preemption(int workers, int ranks)
    {
        SequenceRequest[] requests = [.. Requests()];
        // A tensor split changes last bits (docs/numerics.md), so texts are compared with those of the same split.
        var options = TestCluster.Options with { TensorParallel = ranks };
        await using var plain = await RealCluster.StartAsync(ranks, options with { Engine = new EngineOptions { Speculate = false, CachePrefixes = false } });
        List<IReadOnlyList<string>> expected = [];
        foreach (var request in requests) expected.Add(AnswerBits.Of(await plain.Coordinator.GenerateAsync(request).Soon()));

        // 24 blocks for sequences that come to need 7 each: some give way to others, and are computed again.
        var engine = new EngineOptions { KvTokens = 24 * 16, MaxPromptRows = 7 };
        await using var crowded = await RealCluster.StartAsync(workers, options with { Engine = engine });
        using var metrics = new MeterSums(crowded.Coordinator);
        var together = await Task.WhenAll(requests.Select(request => crowded.Coordinator.GenerateAsync(request))).Soon();
        Assert.All(together.Zip(expected), pair => Assert.Equal(pair.Second, AnswerBits.Of(pair.First)));
        Assert.True(metrics["llamacluster.preemptions"] > 0, "nobody gave way");
        for (var i = 0; i < requests.Length; i += 5) Assert.Equal(expected[i], AnswerBits.Of(await crowded.Coordinator.GenerateAsync(requests[i]).Soon()));
        Assert.True(metrics["llamacluster.prefix_cache.hits"] > 0, "nothing was shared");
        Assert.InRange(metrics["llamacluster.speculation.accepted"], 1, metrics["llamacluster.speculation.drafted"] - 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_a_schema_forces_takes_fewer_steps_and_changes_no_bit(int workers)
    {
        const string forcing =
            """
            {"type":"object","properties":{"kind_of_the_message":{"const":"a message of the cluster to its workers"},
            "size_in_blocks":{"type":"integer","minimum":1,"maximum":64},
            "where_it_goes":{"enum":["to the coordinator","to the last stage"]},"is_the_last_one":{"type":"boolean"}},
            "required":["kind_of_the_message","size_in_blocks","where_it_goes","is_the_last_one"]}
            """;
        var request = Request(new(GrammarKind.JsonSchema, forcing), 200) with { Sampling = new SamplingOptions { LogitBias = Discouraged, TopLogprobs = 2 } };
        SequenceRequest[] requests =
        [
            request,
            .. Enumerable.Range(0, 4).Select(seed => request with { Sampling = request.Sampling with { Temperature = 0.8f, Seed = (ulong)seed } }),
        ];
        await using var plain = await RealCluster.StartAsync(1, TestCluster.Options with { Engine = new EngineOptions { Speculate = false } });
        await using var drafting = await RealCluster.StartAsync(workers);
        using var slow = new MeterSums(plain.Coordinator);
        using var fast = new MeterSums(drafting.Coordinator);

        foreach (var one in requests)
            Assert.Equal(AnswerBits.Of(await plain.Coordinator.GenerateAsync(one).Soon()), AnswerBits.Of(await drafting.Coordinator.GenerateAsync(one).Soon()));

        Assert.InRange(fast["llamacluster.steps"], 1, slow["llamacluster.steps"] * 0.7);
        Assert.InRange(fast["llamacluster.speculation.accepted"], 1, fast["llamacluster.speculation.drafted"]);
    }

    [Fact]
    public async Task Answers_have_their_form_and_end_when_it_is_complete()
    {
        await using var cluster = await RealCluster.StartAsync(1);
        foreach (var seed in Enumerable.Range(0, 6))
        {
            var request = Request(Sources[0], 400) with { Sampling = new SamplingOptions { Temperature = 1, Seed = (ulong)seed, LogitBias = Discouraged } };
            var events = await cluster.Coordinator.GenerateAsync(request).Soon();
            Assert.Equal(new SequenceEvent.Finished(FinishReason.Stop), events[^1]);
            using var json = JsonDocument.Parse(AnswerOf(events));
            Assert.Equal(["name", "kind", "size", "tags"], json.RootElement.EnumerateObject().Select(property => property.Name));
            Assert.InRange(json.RootElement.GetProperty("size").GetInt32(), 1, 64);
        }
        var choice = await cluster.Coordinator.GenerateAsync(Request(Sources[1], 100) with
        {
            Sampling = new SamplingOptions { MinTokens = 90, EndIds = [.. DemoModel.Text.Tokenizer.StopIds] },
        }).Soon();
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Stop), choice[^1]);
        Assert.Contains(AnswerOf(choice), new[] { "a cache of keys and values", "a worker", "a worker that holds one shard" });
        var cut = await cluster.Coordinator.GenerateAsync(Request(Sources[0], 3)).Soon();
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Length), cut[^1]);
    }

    [Fact]
    public async Task A_grammar_that_the_worker_cannot_follow_fails_its_sequence_only()
    {
        await using var cluster = await RealCluster.StartAsync(1);
        var good = cluster.Coordinator.GenerateAsync(Request(Sources[1], 30));
        var bad = await cluster.Coordinator.GenerateAsync(Request(new(GrammarKind.Regex, "(a"), 30)).Soon();
        Assert.Contains("its grammar cannot be enforced", Assert.IsType<SequenceEvent.Failed>(bad[^1]).Message);
        Assert.IsType<SequenceEvent.Finished>((await good.Soon())[^1]);
    }

    /// <summary>The small model likes to go on with white space for ever, which JSON allows.</summary>
    static Dictionary<int, float> Discouraged { get; } = Enumerable.Range(0, DemoModel.Text.Tokenizer.VocabularySize)
        .Where(id => DemoModel.Text.Tokenizer.BytesOf(id).Span is var text && text.Length > 0 && text.IndexOfAnyExcept(" \n\t"u8) < 0)
        .ToDictionary(id => id, _ => -100f);

    static IEnumerable<SequenceRequest> Requests()
    {
        foreach (var (index, source) in Sources.Index())
        {
            var request = Request(source, 60);
            yield return request;
            yield return request with { Sampling = new SamplingOptions { TopLogprobs = 3, LogitBias = Discouraged } };
            yield return request with { Sampling = new SamplingOptions { Temperature = 1, Seed = (ulong)index } };
            yield return request with
            {
                Sampling = new SamplingOptions { Temperature = 0.9f, TopP = 0.9f, Seed = 7, RepetitionPenalty = 1.1f, FrequencyPenalty = 0.2f },
            };
            yield return request with { Sampling = new SamplingOptions { Temperature = 1.2f, TopK = 5, MinP = 0.01f, Seed = 9, LogitBias = Discouraged } };
        }
    }

    static SequenceRequest Request(GrammarSource source, int tokens) =>
        TestCluster.Request(DemoCase.Text(48), tokens) with { StopIds = DemoModel.Text.Tokenizer.StopIds, Grammar = source };

    static string AnswerOf(IEnumerable<SequenceEvent> events) =>
        DemoModel.Text.Tokenizer.DecodeText([.. events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id)], includeControl: false);
}
