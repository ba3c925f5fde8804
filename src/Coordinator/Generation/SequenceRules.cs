using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// What a sequence must be for the workers to take it. The API checks its fields before and says so in its own words; a worker holds a
/// sequence that breaks a rule for a bug and ends the view, so nothing of the kind may get that far.
/// </summary>
/// <param name="vocabularySize">V: ids are below it.</param>
/// <param name="maxLength">The most tokens of one sequence, prompt and answer.</param>
public sealed class SequenceRules(int vocabularySize, int maxLength)
{
    const int MaxTopLogprobs = 1024;

    /// <summary>The first rule that is broken, in one line; null if none is.</summary>
    public string? FirstProblem(SequenceRequest request)
    {
        if (request.Prompt.Count == 0) return "the prompt has no tokens";
        if (request.MaxTokens < 0) return $"the most tokens to generate are {request.MaxTokens}, below 0";
        if ((long)request.Prompt.Count + request.MaxTokens > maxLength)
            return $"{request.Prompt.Count} prompt tokens and {request.MaxTokens} to generate are more than the context of {maxLength}";
        foreach (var id in request.Prompt)
            if (!IsId(id)) return $"the prompt has token id {id}, not 0 to {vocabularySize - 1}";
        return FirstProblem(request.Sampling);
    }

    string? FirstProblem(SamplingOptions sampling)
    {
        if (!(sampling.Temperature >= 0 && float.IsFinite(sampling.Temperature))) return $"temperature is {sampling.Temperature}";
        if (sampling.TopK < 0) return $"top_k is {sampling.TopK}";
        if (!(sampling.TopP is >= 0 and <= 1)) return $"top_p is {sampling.TopP}";
        if (!(sampling.MinP is >= 0 and <= 1)) return $"min_p is {sampling.MinP}";
        if (!(sampling.RepetitionPenalty > 0 && float.IsFinite(sampling.RepetitionPenalty))) return $"repetition_penalty is {sampling.RepetitionPenalty}";
        if (!float.IsFinite(sampling.FrequencyPenalty)) return $"frequency_penalty is {sampling.FrequencyPenalty}";
        if (!float.IsFinite(sampling.PresencePenalty)) return $"presence_penalty is {sampling.PresencePenalty}";
        if (sampling.TopLogprobs is < 0 or > MaxTopLogprobs) return $"top_logprobs is {sampling.TopLogprobs}, not 0 to {MaxTopLogprobs}";
        foreach (var (id, bias) in sampling.LogitBias)
            if (!IsId(id) || !float.IsFinite(bias)) return $"logit_bias of token id {id} is {bias}; ids are 0 to {vocabularySize - 1}";
        return null;
    }

    bool IsId(int id) => (uint)id < (uint)vocabularySize;
}
