namespace LlamaCluster.Model.Config;

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
