using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Pipelines;

static class SamplingMapping
{
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
    };
}
