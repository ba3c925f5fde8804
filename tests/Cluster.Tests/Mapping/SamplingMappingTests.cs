using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cluster.Tests.Mapping;

public class SamplingMappingTests
{
    [Theory]
    [InlineData(null)]
    [InlineData(0)]
    [InlineData(20)]
    public void Options_AsAMessageAndBack_AreTheSame(int? topLogprobs)
    {
        var options = new SamplingOptions
        {
            Temperature = 0.5f,
            TopK = 40,
            TopP = 0.9f,
            MinP = 0.1f,
            RepetitionPenalty = 1.1f,
            FrequencyPenalty = -1,
            PresencePenalty = 2,
            Seed = ulong.MaxValue,
            LogitBias = new Dictionary<int, float> { [3] = -100 },
            TopLogprobs = topLogprobs,
            PromptLogprobs = true,
            MinTokens = 7,
            EndIds = [3, 9],
        };
        var back = options.ToMessage().ToOptions();
        Assert.Equal(options.LogitBias, back.LogitBias);
        Assert.Equal(options.EndIds, back.EndIds);
        Assert.Equal(options, back with { LogitBias = options.LogitBias, EndIds = options.EndIds });
    }

    [Fact]
    public void TopLogprobs_ThatCanBeNone_AreLeftToTheTableOfRanges()
    {
        var message = new SamplingOptions().ToMessage();
        message.TopLogprobs = -2;
        Assert.Contains("top_logprobs", SamplingRanges.FirstProblem(message.ToOptions(), 10));
    }
}
