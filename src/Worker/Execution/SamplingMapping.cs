using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>Sampling options from the network. The stage that samples checks their ranges (<see cref="SamplingRanges"/>).</summary>
static class SamplingMapping
{
    const int NoLogprobs = -1;

    /// <param name="owner">Named in errors: "of sequence 7".</param>
    /// <exception cref="InvalidMessageException">top_logprobs is neither a count nor -1.</exception>
    public static SamplingOptions ToOptions(Wire.SamplingOptionsMessage message, string owner) => new()
    {
        Temperature = message.Temperature,
        TopK = message.TopK,
        TopP = message.TopP,
        MinP = message.MinP,
        RepetitionPenalty = message.RepetitionPenalty,
        FrequencyPenalty = message.FrequencyPenalty,
        PresencePenalty = message.PresencePenalty,
        Seed = message.Seed,
        LogitBias = new Dictionary<int, float>(message.LogitBias),
        TopLogprobs = Field.Count($"top_logprobs {owner}", message.TopLogprobs, NoLogprobs, SamplingRanges.MaxTopLogprobs) is > NoLogprobs and var top ? top : null,
        PromptLogprobs = message.PromptLogprobs,
    };
}
