using System.Globalization;

namespace LlamaCluster.Primitives;

/// <summary>The range of values that an option may have. NaN is in no range.</summary>
/// <param name="Name">The option's name in the API.</param>
/// <param name="ExcludesLeast">The value must be above <paramref name="Least"/>.</param>
public readonly record struct SamplingRange(string Name, float Least, float Most, bool ExcludesLeast = false)
{
    public bool Contains(float value) => value <= Most && (ExcludesLeast ? value > Least : value >= Least);

    /// <summary>One line with option, value and range; null if the value is in the range.</summary>
    public string? Problem(float value) => Contains(value) ? null : Problem(Name, value);

    /// <summary>The same line for an option of another name with the same range; does not check the value.</summary>
    public string Problem(string name, float value) => string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be {this}");

    /// <summary>"from 0 to 1", "above 0 and at most 1".</summary>
    public override string ToString() => ExcludesLeast
        ? string.Create(CultureInfo.InvariantCulture, $"above {Least} and at most {Most}")
        : string.Create(CultureInfo.InvariantCulture, $"from {Least} to {Most}");
}

/// <summary>
/// The allowed ranges of sampling options. The HTTP API, the engine and the workers all use this one table. Within these ranges no score overflows.
/// Values are checked as 32-bit floats, the form in which they are used.
/// </summary>
public static class SamplingRanges
{
    /// <summary>The most alternatives that may be reported per token.</summary>
    public const int MaxTopLogprobs = 20;

    public static SamplingRange Temperature { get; } = new("temperature", 0, 2);

    public static SamplingRange TopP { get; } = new("top_p", 0, 1, ExcludesLeast: true);

    public static SamplingRange MinP { get; } = new("min_p", 0, 1);

    public static SamplingRange RepetitionPenalty { get; } = new("repetition_penalty", 0.01f, 10);

    public static SamplingRange FrequencyPenalty { get; } = new("frequency_penalty", -2, 2);

    public static SamplingRange PresencePenalty { get; } = new("presence_penalty", -2, 2);

    public static SamplingRange LogitBias { get; } = new("logit_bias", -100, 100);

    /// <summary>One line about the first option that is out of range: option, value and range. Null if all are in range.</summary>
    /// <param name="vocabularySize">V: every token id is below it.</param>
    public static string? FirstProblem(SamplingOptions options, int vocabularySize) =>
        Temperature.Problem(options.Temperature)
        ?? (options.TopK >= 0 ? null : $"top_k is {options.TopK}; it must be 0 or more")
        ?? TopP.Problem(options.TopP)
        ?? MinP.Problem(options.MinP)
        ?? RepetitionPenalty.Problem(options.RepetitionPenalty)
        ?? FrequencyPenalty.Problem(options.FrequencyPenalty)
        ?? PresencePenalty.Problem(options.PresencePenalty)
        ?? (options.TopLogprobs is null or >= 0 and <= MaxTopLogprobs ? null : $"top_logprobs is {options.TopLogprobs}; it must be from 0 to {MaxTopLogprobs}")
        ?? (Enum.IsDefined(options.Pooling) ? null : $"pooling is {(int)options.Pooling}; it must be from 0 to {(int)Pooling.Last}")
        ?? BiasProblem(options.LogitBias, vocabularySize)
        ?? EndProblem(options, vocabularySize);

    /// <summary>Some id must be left that may be chosen.</summary>
    static string? EndProblem(SamplingOptions options, int vocabularySize)
    {
        if (options.MinTokens < 0) return $"min_tokens is {options.MinTokens}; it must be 0 or more";
        if (options.MinTokens > 0 && options.EndIds.Count >= vocabularySize)
            return $"min_tokens holds back {options.EndIds.Count} ids; there are {vocabularySize}";
        foreach (var id in options.EndIds)
            if ((uint)id >= (uint)vocabularySize) return $"min_tokens holds back token {id}; ids are from 0 to {vocabularySize - 1}";
        return null;
    }

    static string? BiasProblem(IReadOnlyDictionary<int, float> biases, int vocabularySize)
    {
        foreach (var (id, bias) in biases)
        {
            if ((uint)id >= (uint)vocabularySize) return $"logit_bias has token {id}; ids are from 0 to {vocabularySize - 1}";
            if (!LogitBias.Contains(bias)) return LogitBias.Problem($"logit_bias of token {id}", bias);
        }
        return null;
    }
}
