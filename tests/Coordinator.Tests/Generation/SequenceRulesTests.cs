using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Generation;

public sealed class SequenceRulesTests
{
    static readonly SequenceRules Rules = new(vocabularySize: 100, maxLength: 50);

    public static TheoryData<SequenceRequest, string> Wrong => new()
    {
        { TestCluster.Request([]), "the prompt has no tokens" },
        { TestCluster.Request([1], -1), "below 0" },
        { TestCluster.Request([1], 50), "1 prompt tokens and 50 to generate are more than the context of 50" },
        { TestCluster.Request([1], int.MaxValue), "more than the context of 50" },
        { TestCluster.Request([1, 100]), "token id 100, not 0 to 99" },
        { TestCluster.Request([-1]), "token id -1" },
        { With(new() { Temperature = float.NaN }), "temperature" },
        { With(new() { Temperature = -1 }), "temperature" },
        { With(new() { TopK = -1 }), "top_k" },
        { With(new() { TopP = 1.5f }), "top_p" },
        { With(new() { MinP = float.NaN }), "min_p" },
        { With(new() { RepetitionPenalty = 0 }), "repetition_penalty" },
        { With(new() { FrequencyPenalty = float.PositiveInfinity }), "frequency_penalty" },
        { With(new() { PresencePenalty = float.NaN }), "presence_penalty" },
        { With(new() { TopLogprobs = 2000 }), "top_logprobs" },
        { With(new() { LogitBias = new Dictionary<int, float> { [100] = 1 } }), "logit_bias has token 100" },
        { With(new() { LogitBias = new Dictionary<int, float> { [3] = float.NaN } }), "logit_bias of token 3" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_workers_would_not_take_is_named(SequenceRequest request, string message)
    {
        var problem = Rules.FirstProblem(request);
        Assert.Contains(message, problem);
        Assert.DoesNotContain('\n', problem!);
    }

    [Fact]
    public void All_else_is_fine()
    {
        Assert.Null(Rules.FirstProblem(TestCluster.Request([0, 99], 48)));
        Assert.Null(Rules.FirstProblem(With(new()
        {
            Temperature = 2,
            TopK = 40,
            TopP = 0.9f,
            MinP = 0.1f,
            TopLogprobs = 20,
            LogitBias = new Dictionary<int, float> { [99] = -100 },
        })));
    }

    static SequenceRequest With(SamplingOptions sampling) => TestCluster.Request([1]) with { Sampling = sampling };
}
