namespace LlamaCluster.Kernels.Tests.Twins;

/// <summary>Quantised activations in plain loops.</summary>
static class ActivationTwin
{
    /// <summary>Columns that share a scale to integers -127..127, and the scale.</summary>
    public static (int[] Values, float Scale) Quantize(ReadOnlySpan<float> x)
    {
        var max = 0f;
        foreach (var value in x)
        {
            if (!float.IsFinite(value)) return (new int[x.Length], float.NaN);
            max = MathF.Max(max, MathF.Abs(value));
        }

        var values = new int[x.Length];
        if (max < 1e-36f) return (values, 0);
        var inverse = 127 / max;
        for (var i = 0; i < x.Length; i++) values[i] = (int)MathF.Round(x[i] * inverse, MidpointRounding.ToEven);
        return (values, max / 127);
    }
}
