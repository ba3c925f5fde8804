using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>
/// Sampling options as messages, and back. A message can hold any value: whoever reads one asks <see cref="SamplingRanges"/> before it uses
/// the options.
/// </summary>
public static class SamplingMapping
{
    /// <summary>top_logprobs where no log-probabilities are wanted.</summary>
    const int NoLogprobs = -1;

    public static SamplingOptionsMessage ToMessage(this SamplingOptions sampling) => new()
    {
        Temperature = sampling.Temperature,
        TopK = sampling.TopK,
        TopP = sampling.TopP,
        MinP = sampling.MinP,
        RepetitionPenalty = sampling.RepetitionPenalty,
        FrequencyPenalty = sampling.FrequencyPenalty,
        PresencePenalty = sampling.PresencePenalty,
        Seed = sampling.Seed,
        LogitBias = { sampling.LogitBias.ToDictionary() },
        TopLogprobs = sampling.TopLogprobs ?? NoLogprobs,
        PromptLogprobs = sampling.PromptLogprobs,
        MinTokens = sampling.MinTokens,
        EndIds = { sampling.EndIds },
        Pooling = (int)sampling.Pooling,
    };

    public static SamplingOptions ToOptions(this SamplingOptionsMessage message) => new()
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
        TopLogprobs = message.TopLogprobs == NoLogprobs ? null : message.TopLogprobs,
        PromptLogprobs = message.PromptLogprobs,
        MinTokens = message.MinTokens,
        EndIds = [.. message.EndIds],
        Pooling = (Pooling)message.Pooling,
    };
}
