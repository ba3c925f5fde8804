namespace LlamaCluster.Model.Config;

/// <summary>How rotation frequencies are changed for contexts longer than the model was first trained on.</summary>
public abstract record RopeScaling
{
    RopeScaling() { }

    /// <summary>All frequencies divided by one factor (position interpolation, https://arxiv.org/abs/2306.15595).</summary>
    public sealed record Linear(float Factor) : RopeScaling;

    /// <summary>Llama 3.1's: low frequencies divided by the factor, high ones kept, a smooth ramp between.</summary>
    public sealed record Llama3(float Factor, float LowFrequencyFactor, float HighFrequencyFactor, int OriginalContextLength) : RopeScaling;

    /// <summary>
    /// YaRN's (https://arxiv.org/abs/2309.00071): as Llama 3.1's, with a ramp from pair to pair; and queries and keys grow, so that attention stays sharp
    /// among more positions.
    /// </summary>
    /// <param name="FastTurns">Pairs that turn more often within the original context keep their frequency (beta_fast).</param>
    /// <param name="SlowTurns">Pairs that turn less often have it divided by the factor (beta_slow).</param>
    /// <param name="Magnitude">What the rotated part of queries and of keys is multiplied by (attention_factor).</param>
    public sealed record Yarn(float Factor, int OriginalContextLength, float FastTurns, float SlowTurns, float Magnitude) : RopeScaling
    {
        public const float UsualFastTurns = 32;

        public const float UsualSlowTurns = 1;

        /// <summary>
        /// What models mean that do not state it: 1 + 0.1 ln factor, the paper's, divided by the same with another weight than 0.1 where the model says that
        /// its weights make up for some of it (mscale and mscale_all_dim; GGUF's yarn_log_multiplier is the latter).
        /// </summary>
        /// <param name="weight">Of the numerator; 1 is the paper's.</param>
        /// <param name="made">Of the denominator; 0: there is none.</param>
        public static float MagnitudeOf(float factor, float weight = 1, float made = 0)
        {
            return (float)(Growth(weight) / Growth(made));

            double Growth(float by) => factor <= 1 ? 1 : (0.1 * by * Math.Log(factor)) + 1;
        }
    }

    /// <summary>One divisor per rotated pair, as stored in GGUF's <c>rope_freqs.weight</c>. Shape [RopeDimensionCount / 2].</summary>
    public sealed record Factors(IReadOnlyList<float> Divisors) : RopeScaling
    {
        /// <summary>By content, so that a config is equal to the same config that was read or sent elsewhere.</summary>
        public bool Equals(Factors? other) => other is not null && Divisors.SequenceEqual(other.Divisors);

        public override int GetHashCode() => HashCode.Combine(Divisors.Count, Divisors.Count > 0 ? Divisors[^1] : 0);
    }
}

/// <summary>The ranges that the numbers of a scaling must be in; part of <see cref="LlamaConfigRules"/>.</summary>
static class RopeScalingRules
{
    /// <summary>What is wrong first: field, value and allowed range. Null if nothing is.</summary>
    public static string? FirstProblem(RopeScaling scaling, LlamaConfig config) => scaling switch
    {
        RopeScaling.Linear linear => FactorProblem("RoPE scaling factor", linear.Factor),
        RopeScaling.Llama3 llama3 => Llama3Problem(llama3),
        RopeScaling.Yarn yarn => YarnProblem(yarn, config.RopeTheta),
        RopeScaling.Factors factors => DivisorProblem(factors.Divisors, config.RopeDimensionCount / 2),
        _ => $"RoPE scaling {scaling.GetType().Name} is unknown",
    };

    static string? Llama3Problem(RopeScaling.Llama3 scaling) =>
        FactorProblem("RoPE scaling factor", scaling.Factor)
        ?? FactorProblem("RoPE low frequency factor", scaling.LowFrequencyFactor)
        ?? FactorProblem("RoPE high frequency factor", scaling.HighFrequencyFactor)
        ?? (scaling.HighFrequencyFactor >= scaling.LowFrequencyFactor ? null
            : $"RoPE high frequency factor {scaling.HighFrequencyFactor} is below the low one, {scaling.LowFrequencyFactor}")
        ?? ContextProblem(scaling.OriginalContextLength);

    static string? YarnProblem(RopeScaling.Yarn scaling, float theta) =>
        FactorProblem("RoPE scaling factor", scaling.Factor)
        ?? FactorProblem("YaRN's beta_fast", scaling.FastTurns)
        ?? FactorProblem("YaRN's beta_slow", scaling.SlowTurns)
        ?? (scaling.FastTurns >= scaling.SlowTurns ? null : $"YaRN's beta_fast {scaling.FastTurns} is below its beta_slow, {scaling.SlowTurns}")
        ?? LlamaConfigRules.NumberProblem("YaRN's attention factor", scaling.Magnitude, above: 0, atMost: 100)
        ?? (theta > 1 ? null : $"RoPE base is {theta}; with YaRN it must be above 1")
        ?? ContextProblem(scaling.OriginalContextLength);

    static string? DivisorProblem(IReadOnlyList<float> divisors, int expected)
    {
        if (divisors.Count != expected) return $"RoPE divisors are {divisors.Count}; half the RoPE dimension count is {expected}";
        for (var i = 0; i < divisors.Count; i++)
            if (FactorProblem($"RoPE divisor {i}", divisors[i]) is { } problem) return problem;
        return null;
    }

    static string? ContextProblem(int length) => LlamaConfigRules.OutOfRange("RoPE original context length", length, LlamaConfigRules.MaxContext);

    static string? FactorProblem(string field, float value) => LlamaConfigRules.NumberProblem(field, value, above: 0, atMost: 1e9);
}
