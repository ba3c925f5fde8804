using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Model.Config;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Models with experts over real workers: whole experts on ranks, and columns of every one.</summary>
public sealed class ExpertRanksTests : IDisposable
{
    readonly TempFolder _folder = new();

    /// <summary>Two of six experts for a token, of which two ranks have three each.</summary>
    static SyntheticModel Mixtral { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 4,
            Experts = new ExpertMixture { Count = 6, UsedCount = 2, FfnSize = 96, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false },
        },
    };

    /// <summary>Every second layer has seven experts, one for a token and a shared one.</summary>
    static SyntheticModel Llama4 { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 4,
            Experts = new ExpertMixture { Count = 7, UsedCount = 1, FfnSize = 96, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
            Chunks = ChunkedAttention.Llama4,
            QueryScale = QueryScale.Llama4,
            NormsHeads = true,
        },
    };

    public static TheoryData<string> Names => ["mixtral", "llama 4"];

    /// <summary>
    /// One worker's tokens; and the same bits alone and in company, in one stage and in two, and again with workers that have the other cut's parts in
    /// their cache.
    /// </summary>
    [Theory]
    [MemberData(nameof(Names))]
    public async Task Ranks_with_whole_experts_give_the_tokens_of_one_worker_and_the_same_bits_in_any_company_and_stages(string name)
    {
        var model = (name == "mixtral" ? Mixtral : Llama4).WriteGguf(_folder.File("model.gguf"));
        var options = TestCluster.Options with { ModelPath = model, Engine = new EngineOptions { KvType = Protos.KvType.F32, Speculate = false } };
        SequenceRequest[] requests = [.. Enumerable.Range(0, 4).Select(RequestOf)];
        var one = await AnswersAsync(1, options, "all");
        var byColumns = await AnswersAsync(2, options with { TensorParallel = 2, ExpertParallel = ExpertParallel.Off }, "columns");
        var whole = await AnswersAsync(2, options with { TensorParallel = 2, ExpertParallel = ExpertParallel.On }, "whole");
        var stages = await AnswersAsync(4, options with { TensorParallel = 2, ExpertParallel = ExpertParallel.On }, "whole");

        Assert.Equal(one.Select(Tokens), whole.Select(Tokens));
        Assert.Equal(one.Select(Tokens), byColumns.Select(Tokens));
        Assert.Equal(whole.Select(AnswerBits.Of), stages.Select(AnswerBits.Of));

        async Task<IReadOnlyList<List<SequenceEvent>>> AnswersAsync(int workers, CoordinatorOptions of, string experts)
        {
            await using var cluster = await RealCluster.StartAsync(workers, of, usual => usual with { CacheFolder = _folder.Path });
            var shares = cluster.Coordinator.Host.Status.Value.Plan!.Plan.Assignments.Select(part => part.Shard.Slice.Shares.WholeExperts);
            Assert.All(shares, isWhole => Assert.Equal(of.ExpertParallel is ExpertParallel.On, isWhole));
            using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress };
            var told = (await http.GetJsonAsync("/v1/cluster")).GetProperty("replicas")[0].GetProperty("stages");
            Assert.All(told.EnumerateArray(), stage => Assert.Equal(experts, stage.GetProperty("experts").GetString()));
            var alone = await cluster.Coordinator.GenerateAsync(requests[1]).Soon();
            var together = await Task.WhenAll(requests.Select(request => cluster.Coordinator.GenerateAsync(request))).Soon();
            Assert.Equal(AnswerBits.Of(alone), AnswerBits.Of(together[1]));
            return together;
        }
    }

    public void Dispose() => _folder.Dispose();

    static SequenceRequest RequestOf(int number) =>
        TestCluster.Request([.. Enumerable.Range(0, 9 + (7 * number)).Select(at => (at * 37 + number) % 200)], 12) with
        {
            Sampling = new SamplingOptions { TopLogprobs = 3 },
        };

    static string Tokens(IEnumerable<SequenceEvent> events) => string.Join(' ', events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id));
}
