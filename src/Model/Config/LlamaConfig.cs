namespace LlamaCluster.Model.Config;

/// <summary>The facts of a Llama model that its shapes and its maths follow from. Immutable.</summary>
public sealed record LlamaConfig
{
    /// <summary>L: transformer layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>D: width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F: width of the SwiGLU feed-forward.</summary>
    public required int FfnSize { get; init; }

    /// <summary>H: query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G: key/value heads; H is a multiple of it.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>E: dimension of one head. Usually D / H, but a model may state another.</summary>
    public required int HeadSize { get; init; }

    /// <summary>V: rows of the embedding and of the head.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The longest sequence the model was made for, in tokens.</summary>
    public required int ContextLength { get; init; }

    public required float RmsEpsilon { get; init; }

    public required float RopeTheta { get; init; }

    /// <summary>Leading dimensions of a head that are rotated; the rest pass unchanged. Usually E.</summary>
    public required int RopeDimensionCount { get; init; }

    public RopeScaling? RopeScaling { get; init; }

    /// <summary>The head is the embedding matrix.</summary>
    public required bool TiedEmbeddings { get; init; }
}

/// <summary>How rotation frequencies are changed for contexts longer than the model was first trained on.</summary>
public abstract record RopeScaling
{
    RopeScaling() { }

    /// <summary>All frequencies divided by one factor (position interpolation, https://arxiv.org/abs/2306.15595).</summary>
    public sealed record Linear(float Factor) : RopeScaling;

    /// <summary>Llama 3.1's: low frequencies divided by the factor, high ones kept, a smooth ramp between.</summary>
    public sealed record Llama3(float Factor, float LowFrequencyFactor, float HighFrequencyFactor, int OriginalContextLength) : RopeScaling;

    /// <summary>One divisor per rotated pair, as stored in GGUF's <c>rope_freqs.weight</c>. Shape [RopeDimensionCount / 2].</summary>
    public sealed record Factors(IReadOnlyList<float> Divisors) : RopeScaling
    {
        /// <summary>By content, so that a config is equal to the same config that was read or sent elsewhere.</summary>
        public bool Equals(Factors? other) => other is not null && Divisors.SequenceEqual(other.Divisors);

        public override int GetHashCode() => HashCode.Combine(Divisors.Count, Divisors.Count > 0 ? Divisors[^1] : 0);
    }
}

/// <summary>
/// The ranges that a config's fields must be in, wherever it comes from: a file, the network, the command line. Within them no
/// product of shapes overflows 64 bits, and no size that is held as an int overflows 32.
/// </summary>
public static class LlamaConfigRules
{
    const int MaxLayers = 4096;
    const int MaxWidth = 1 << 20;
    const int MaxFfn = 1 << 22;
    const int MaxHeads = 1 << 14;
    const int MaxHeadSize = 1 << 12;
    const int MaxVocabulary = 1 << 24;
    const int MaxContext = 1 << 27;

    /// <summary>What is wrong first: field, value and allowed range. Null if nothing is.</summary>
    public static string? FirstProblem(LlamaConfig config) =>
        OutOfRange("layer count", config.LayerCount, MaxLayers)
        ?? OutOfRange("hidden size", config.HiddenSize, MaxWidth)
        ?? OutOfRange("feed-forward size", config.FfnSize, MaxFfn)
        ?? OutOfRange("head count", config.HeadCount, MaxHeads)
        ?? OutOfRange("KV head count", config.KvHeadCount, MaxHeads)
        ?? OutOfRange("head size", config.HeadSize, MaxHeadSize)
        ?? OutOfRange("vocabulary size", config.VocabularySize, MaxVocabulary)
        ?? OutOfRange("context length", config.ContextLength, MaxContext)
        ?? HeadProblem(config)
        ?? NumberProblem("RMS epsilon", config.RmsEpsilon, above: 0, atMost: 1)
        ?? NumberProblem("RoPE base", config.RopeTheta, above: 0, atMost: 1e18)
        ?? (config.RopeScaling is { } scaling ? ScalingProblem(scaling, config.RopeDimensionCount) : null);

    static string? HeadProblem(LlamaConfig config)
    {
        if (config.HeadCount % config.KvHeadCount != 0)
            return $"head count {config.HeadCount} is not a multiple of KV head count {config.KvHeadCount}";
        if (config.HeadCount * config.HeadSize > MaxWidth)
            return $"head count {config.HeadCount} times head size {config.HeadSize} is above {MaxWidth}";
        if (config.HeadSize % 2 != 0)
            return $"head size is {config.HeadSize}; RoPE turns pairs, it must be even";
        if (config.RopeDimensionCount < 2 || config.RopeDimensionCount > config.HeadSize || config.RopeDimensionCount % 2 != 0)
            return $"RoPE dimension count is {config.RopeDimensionCount}; it must be even and from 2 to the head size {config.HeadSize}";
        return null;
    }

    static string? ScalingProblem(RopeScaling scaling, int ropeDimensions) => scaling switch
    {
        RopeScaling.Linear linear => FactorProblem("RoPE scaling factor", linear.Factor),
        RopeScaling.Llama3 llama3 => Llama3Problem(llama3),
        RopeScaling.Factors factors => DivisorProblem(factors.Divisors, ropeDimensions / 2),
        _ => $"RoPE scaling {scaling.GetType().Name} is unknown",
    };

    static string? Llama3Problem(RopeScaling.Llama3 scaling) =>
        FactorProblem("RoPE scaling factor", scaling.Factor)
        ?? FactorProblem("RoPE low frequency factor", scaling.LowFrequencyFactor)
        ?? FactorProblem("RoPE high frequency factor", scaling.HighFrequencyFactor)
        ?? (scaling.HighFrequencyFactor > scaling.LowFrequencyFactor ? null
            : $"RoPE high frequency factor {scaling.HighFrequencyFactor} is not above the low one, {scaling.LowFrequencyFactor}")
        ?? OutOfRange("RoPE original context length", scaling.OriginalContextLength, MaxContext);

    static string? DivisorProblem(IReadOnlyList<float> divisors, int expected)
    {
        if (divisors.Count != expected) return $"RoPE divisors are {divisors.Count}; half the RoPE dimension count is {expected}";
        for (var i = 0; i < divisors.Count; i++)
            if (FactorProblem($"RoPE divisor {i}", divisors[i]) is { } problem) return problem;
        return null;
    }

    static string? FactorProblem(string field, float value) => NumberProblem(field, value, above: 0, atMost: 1e9);

    static string? OutOfRange(string field, int value, int max) =>
        value >= 1 && value <= max ? null : $"{field} is {value}; it must be from 1 to {max}";

    // Written so that NaN is out of range.
    static string? NumberProblem(string field, float value, double above, double atMost) =>
        value > above && value <= atMost ? null : $"{field} is {value}; it must be above {above} and at most {atMost}";
}
