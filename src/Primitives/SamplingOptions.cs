namespace LlamaCluster.Primitives;

/// <summary>How the next token is chosen from the logits. The defaults choose the most probable token.</summary>
public sealed record SamplingOptions
{
    /// <summary>Below this temperature, the most probable token is chosen.</summary>
    const float LeastTemperature = 1e-5f;

    /// <summary>0: greedy.</summary>
    public float Temperature { get; init; }

    public bool IsGreedy => Temperature < LeastTemperature;

    /// <summary>Keep the k most probable tokens; 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of tokens whose probabilities sum to this; 1: all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep tokens at least this fraction as probable as the most probable one; 0: all.</summary>
    public float MinP { get; init; }

    /// <summary>Divides (or multiplies, if negative) the logits of tokens seen in prompt or output; 1: off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from a token's logit for each time that it was generated.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit if it was generated at all.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Seed and position are the only sources of randomness: the same seed and tokens give the same choice on any worker.</summary>
    public ulong Seed { get; init; }

    /// <summary>Added to the logits of these ids, after penalties.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>How many alternatives to report per token; 0: the chosen token's log-probability only; null: none.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>As many tokens are chosen before one of <see cref="EndIds"/> may be.</summary>
    public int MinTokens { get; init; }

    /// <summary>Ids that may not be chosen before; without <see cref="MinTokens"/> none.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>Report log-probabilities of the prompt's own tokens as well.</summary>
    public bool PromptLogprobs { get; init; }

    /// <summary>Which of the prompt's hidden states are reported, as one vector. Such a sequence generates nothing.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>Whether a penalty is on, so that scores depend on the earlier tokens.</summary>
    public bool NeedsHistory => this is not { RepetitionPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 };
}

/// <summary>
/// How the hidden states of a text's tokens, after the model's last norm, become one vector. Numbers and meanings are those of llama.cpp's pooling types.
/// </summary>
public enum Pooling
{
    /// <summary>No vector is made.</summary>
    None = 0,

    /// <summary>The mean of all tokens'.</summary>
    Mean = 1,

    /// <summary>The first token's ("cls").</summary>
    First = 2,

    /// <summary>The last token's, which in a model that reads forwards has seen all others.</summary>
    Last = 3,
}
