namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Exponentials of a row of logits, on the caller's thread, in an order of summation that does not depend on the vector width.</summary>
public static unsafe class Softmax
{
    /// <summary>The greatest number, if all are finite; otherwise, and of an empty row, NaN.</summary>
    public static float MaxOfFinite(ReadOnlySpan<float> x)
    {
        if (x.IsEmpty) return float.NaN;
        fixed (float* values = x) return RowMath.Chosen.MaxOfFinite(values, x.Length);
    }

    /// <summary>The greatest number, none of them NaN; of an empty row -infinity.</summary>
    public static float Max(ReadOnlySpan<float> x)
    {
        fixed (float* values = x) return RowMath.Chosen.Max(values, x.Length);
    }

    /// <summary>The sum of e^((x - shift) * scale).</summary>
    public static float SumOfExp(ReadOnlySpan<float> x, float shift, float scale = 1)
    {
        fixed (float* values = x) return RowMath.Chosen.SumOfExp(values, shift, scale, x.Length);
    }

    /// <summary>y = e^((x - shift) * scale); y may be x.</summary>
    /// <returns>The sum of y.</returns>
    public static float Exp(ReadOnlySpan<float> x, float shift, float scale, Span<float> y)
    {
        if (y.Length != x.Length) throw new ArgumentException($"{y.Length} numbers where x has {x.Length}", nameof(y));
        fixed (float* values = x, exps = y) return RowMath.Chosen.Exp(values, shift, scale, exps, x.Length);
    }
}
