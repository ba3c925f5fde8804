using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// How fast each pair of a head's dimensions turns, in radians per position: theta^(-2i/R), and how RoPE scaling changes that. In the single
/// precision that models are trained with, step by step as Hugging Face transformers and llama.cpp's converter do it, so that the
/// two forms of a model (config.json's rope_scaling, GGUF's rope_freqs.weight) give the same bits.
/// </summary>
public static class RopeFrequencies
{
    /// <summary>[R / 2]</summary>
    public static float[] Of(LlamaConfig config)
    {
        var frequencies = Unscaled(config);
        switch (config.RopeScaling)
        {
            case null:
                break;
            case RopeScaling.Linear linear:
                foreach (ref var frequency in frequencies.AsSpan()) frequency /= linear.Factor;
                break;
            case RopeScaling.Llama3 llama3:
                Divide(frequencies, Llama3Divisors(config, llama3));
                break;
            case RopeScaling.Yarn yarn:
                return YarnFrequencies(config, yarn);
            case RopeScaling.Factors factors:
                Divide(frequencies, factors.Divisors);
                break;
            default:
                throw new ArgumentException($"RoPE scaling {config.RopeScaling.GetType().Name} is unknown", nameof(config));
        }
        return frequencies;
    }

    /// <summary>
    /// [R / 2] what Llama 3.1 divides frequencies by: 1 where a turn takes few positions, the factor where it takes more than the original context
    /// held, and between the two in inverse proportion to a mix of both (https://arxiv.org/abs/2407.21783, transformers' "llama3").
    /// </summary>
    public static float[] Llama3Divisors(LlamaConfig config, RopeScaling.Llama3 scaling)
    {
        var longest = scaling.OriginalContextLength / scaling.LowFrequencyFactor;
        var shortest = scaling.OriginalContextLength / scaling.HighFrequencyFactor;
        return [.. Unscaled(config).Select(frequency =>
        {
            var wavelength = 2 * MathF.PI / frequency;
            if (wavelength < shortest) return 1;
            if (wavelength > longest) return scaling.Factor;
            if (scaling.HighFrequencyFactor == scaling.LowFrequencyFactor) return 1;   // Llama 4 Scout's: there is no ramp
            var smooth = ((scaling.OriginalContextLength / wavelength) - scaling.LowFrequencyFactor)
                / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
            return 1 / (((1 - smooth) / scaling.Factor) + smooth);
        })];
    }

    /// <summary>What the rotated part of queries and keys is multiplied by; 1 as a rule.</summary>
    public static float MagnitudeOf(LlamaConfig config) => config.RopeScaling is RopeScaling.Yarn yarn ? yarn.Magnitude : 1;

    /// <summary>
    /// [R / 2] a mix of each frequency and a factor-th of it. The pairs that make <see cref="RopeScaling.Yarn.FastTurns"/> turns within the original
    /// context, and those that make <see cref="RopeScaling.Yarn.SlowTurns"/>, are where the ramp between the two begins and ends, in whole pairs
    /// (transformers' "yarn", ggml's rope_yarn).
    /// </summary>
    static float[] YarnFrequencies(LlamaConfig config, RopeScaling.Yarn scaling)
    {
        var first = Math.Max(0, Math.Floor(PairWith(scaling.FastTurns)));
        var last = Math.Min(config.RopeDimensionCount - 1, Math.Ceiling(PairWith(scaling.SlowTurns)));
        var (start, length) = ((float)first, (float)Math.Max(0.001, last - first));
        return [.. Wavelengths(config).Select((wavelength, pair) =>
        {
            var slow = Math.Clamp((pair - start) / length, 0, 1);
            var fast = 1 - slow;
            return (1 / (scaling.Factor * wavelength) * (1 - fast)) + (1 / wavelength * fast);
        })];

        double PairWith(float turns) =>
            config.RopeDimensionCount * Math.Log(scaling.OriginalContextLength / (turns * 2 * Math.PI)) / (2 * Math.Log(config.RopeTheta));
    }

    static float[] Unscaled(LlamaConfig config)
    {
        var frequencies = Wavelengths(config);
        foreach (ref var number in frequencies.AsSpan()) number = 1 / number;
        return frequencies;
    }

    /// <summary>[R / 2] positions that a pair takes to turn by one radian.</summary>
    static float[] Wavelengths(LlamaConfig config)
    {
        var lengths = new float[config.RopeDimensionCount / 2];
        for (var i = 0; i < lengths.Length; i++) lengths[i] = (float)Math.Pow(config.RopeTheta, 2f * i / config.RopeDimensionCount);
        return lengths;
    }

    static void Divide(float[] frequencies, IReadOnlyList<float> divisors)
    {
        for (var i = 0; i < frequencies.Length; i++) frequencies[i] /= divisors[i];
    }
}
