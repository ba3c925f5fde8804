namespace LlamaCluster.Primitives;

/// <summary>The ranges in which sampling options mean something, and in which no score can overflow.</summary>
public static class SamplingOptionsRules
{
    /// <summary>The most alternatives that may be reported per token.</summary>
    public const int MaxTopLogprobs = 20;

    /// <summary>What is wrong first: field, value and allowed range. Null if nothing is.</summary>
    public static string? FirstProblem(SamplingOptions options, int vocabularySize) =>
        Range("temperature", options.Temperature, 0, 1e6f)
        ?? Range("top_k", options.TopK, 0, int.MaxValue)
        ?? (options.TopP > 0 ? Range("top_p", options.TopP, 0, 1) : $"top_p is {options.TopP}; it must be above 0 and at most 1")
        ?? Range("min_p", options.MinP, 0, 1)
        ?? Range("repetition_penalty", options.RepetitionPenalty, 0.01f, 100)
        ?? Range("frequency_penalty", options.FrequencyPenalty, -100, 100)
        ?? Range("presence_penalty", options.PresencePenalty, -100, 100)
        ?? Range("top_logprobs", options.TopLogprobs ?? 0, 0, MaxTopLogprobs)
        ?? BiasProblem(options.LogitBias, vocabularySize);

    static string? BiasProblem(IReadOnlyDictionary<int, float> biases, int vocabularySize)
    {
        foreach (var (id, bias) in biases)
        {
            if ((uint)id >= (uint)vocabularySize) return $"logit_bias has token {id}; ids are from 0 to {vocabularySize - 1}";
            if (Range($"logit_bias of token {id}", bias, -100, 100) is { } problem) return problem;
        }
        return null;
    }

    // Written so that NaN is out of range.
    static string? Range(string field, float value, float least, float most) =>
        value >= least && value <= most ? null : $"{field} is {value}; it must be from {least} to {most}";
}
