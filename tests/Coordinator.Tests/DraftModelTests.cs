using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>The demo model in F16 with its Q4_0 form drafting for it, by real workers, beside the same texts without drafts.</summary>
public sealed class DraftModelTests
{
    static readonly CoordinatorOptions Plain = TestCluster.Options with
    {
        ModelPath = SharedFiles.Shared("models/demo/llamacluster-demo-5m-f16.gguf"),
        Engine = new EngineOptions { Speculate = false, KvTokens = 1024 },
    };

    static readonly CoordinatorOptions Drafting = Plain with
    {
        Engine = new EngineOptions { KvTokens = 1024, DraftTokens = 3 },   // whether they pay, on this machine and now, or not
        Draft = new DraftOptions(SharedFiles.Shared("models/demo/llamacluster-demo-5m-q4_0.gguf"), "http://127.0.0.1:0"),
    };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Drafts_of_a_model_change_no_bit(int workers)
    {
        var requests = Requests().ToArray();
        List<IReadOnlyList<string>> expected = [];
        await using (var plain = await RealCluster.StartAsync(1, Plain))
            foreach (var request in requests) expected.Add(AnswerBits.Of(await plain.Coordinator.GenerateAsync(request).Soon()));
        await using var drafting = await RealCluster.StartAsync(workers, Drafting);
        var draftWorker = await drafting.AddDraftingAsync();
        var draft = drafting.Coordinator.Host.Services.GetRequiredService<DraftHost>();

        for (var i = 0; i < requests.Length; i++) Assert.Equal(expected[i], AnswerBits.Of(await drafting.Coordinator.GenerateAsync(requests[i]).Soon()));
        var together = await Task.WhenAll(requests.Select(request => drafting.Coordinator.GenerateAsync(request))).Soon();
        Assert.All(together.Zip(expected), pair => Assert.Equal(pair.Second, AnswerBits.Of(pair.First)));
        var facts = drafting.Coordinator.Host.Services.GetRequiredService<ClusterObserver>().Observe(null).Snapshot.Draft!;
        Assert.Equal((true, "real" + workers), (facts.Ready, facts.Workers.Single()));
        Assert.InRange(facts.TokensAccepted, 1, facts.TokensDrafted);

        // The draft model's worker goes in mid-stream, and comes back.
        List<SequenceEvent> events = [];
        await using (var cut = drafting.Coordinator.Engine.GenerateAsync(requests[0], CancellationToken.None).GetAsyncEnumerator())
        {
            for (var i = 0; i < 10; i++) await NextAsync();
            await drafting.StopAsync(draftWorker);
            while (await NextAsync()) { }

            async Task<bool> NextAsync()
            {
                if (!await cut.MoveNextAsync().AsTask().Soon()) return false;
                events.Add(cut.Current);
                return true;
            }
        }
        Assert.Equal(expected[0], AnswerBits.Of(events));
        await draft.Status.WaitAsync(status => !status.IsReady, CancellationToken.None).Soon("the draft model's worker is missed");
        Assert.Equal(expected[^1], AnswerBits.Of(await drafting.Coordinator.GenerateAsync(requests[^1]).Soon()));
        await drafting.AddDraftingAsync();
        Assert.Equal(expected[0], AnswerBits.Of(await drafting.Coordinator.GenerateAsync(requests[0]).Soon()));
    }

    [Fact]
    public void A_model_of_other_tokens_is_refused()
    {
        var refused = Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(Drafting with
        {
            Draft = new DraftOptions(SharedFiles.Shared("models/stories260K.gguf"), "http://127.0.0.1:0"),
        }));

        Assert.StartsWith("--draft-model: stories260K cannot draft for llamacluster-demo-5m-f16: it has 512 tokens, and the other ", refused.Message);
    }

    [Fact]
    public void It_cannot_be_had_without_speculation() =>
        Assert.Equal("--draft-model and --no-speculation are both given: give one", Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(
            Drafting with { Engine = new EngineOptions { Speculate = false } })).Message);

    /// <summary>Greedy ones and others, that draw from all tokens and from the best, and what changes the choice.</summary>
    static IEnumerable<SequenceRequest> Requests()
    {
        SamplingOptions[] choices =
        [
            new() { TopLogprobs = 2 },
            new() { Temperature = 0.8f, Seed = 17, TopLogprobs = 0 },
            new() { Temperature = 1, TopP = 0.9f, TopK = 40, Seed = 3 },
            new() { Temperature = 0.5f, Seed = 5, RepetitionPenalty = 1.1f, FrequencyPenalty = 0.2f, PromptLogprobs = true },
        ];
        return DemoCase.All.Zip(choices, (one, sampling) => TestCluster.Request(one.Prompt, 60) with { Sampling = sampling });
    }
}
