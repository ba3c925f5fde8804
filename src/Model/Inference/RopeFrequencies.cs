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
            var smooth = ((scaling.OriginalContextLength / wavelength) - scaling.LowFrequencyFactor)
                / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
            return 1 / (((1 - smooth) / scaling.Factor) + smooth);
        })];
    }

    static float[] Unscaled(LlamaConfig config)
    {
        var frequencies = new float[config.RopeDimensionCount / 2];
        for (var i = 0; i < frequencies.Length; i++)
            frequencies[i] = 1 / (float)Math.Pow(config.RopeTheta, 2f * i / config.RopeDimensionCount);
        return frequencies;
    }

    static void Divide(float[] frequencies, IReadOnlyList<float> divisors)
    {
        for (var i = 0; i < frequencies.Length; i++) frequencies[i] /= divisors[i];
    }
}
