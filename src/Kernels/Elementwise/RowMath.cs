namespace LlamaCluster.Kernels.Elementwise;

/// <summary>
/// The maths of single rows beside matrix products and attention. One instance per vector width, all of which give the same
/// bits. Rows may have any length; they are read and written in place, unaligned.
/// </summary>
abstract unsafe class RowMath
{
    /// <summary>For the width that this process uses.</summary>
    public static RowMath Chosen { get; } = For(KernelWidths.Chosen);

    public static RowMath For(KernelWidth width) => width switch
    {
        KernelWidth.Avx512 => new RowMath<Lanes512>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new RowMath<Lanes256>(),
        KernelWidth.Vector128 => new RowMath<Lanes128>(),
        KernelWidth.Scalar => new RowMath<PlainLanes>(),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };

    /// <summary>y = x / sqrt(mean(x^2) + epsilon) * weight.</summary>
    public abstract void RmsNorm(float* x, float* weight, float epsilon, float* y, int length);

    /// <summary>x += y.</summary>
    public abstract void Add(float* x, float* y, int length);

    /// <summary>gate = gate / (1 + e^-gate) * up.</summary>
    public abstract void SwiGlu(float* gate, float* up, int length);

    /// <summary>
    /// Rotates neighbours: (x0, x1) = (x0 c - x1 s, x1 c + x0 s), with c standing twice in <paramref name="cosines"/> and
    /// -s, s in <paramref name="sines"/>. The length is even.
    /// </summary>
    public abstract void Rotate(float* x, float* cosines, float* sines, int length);

    /// <summary>The greatest number, if all are finite; otherwise NaN.</summary>
    public abstract float MaxOfFinite(float* x, int length);

    /// <summary>The greatest number, none of them NaN; of an empty row -infinity.</summary>
    public abstract float Max(float* x, int length);

    /// <summary>y = e^((x - shift) * scale), and the sum of y.</summary>
    public abstract float Exp(float* x, float shift, float scale, float* y, int length);

    /// <summary>The sum of e^((x - shift) * scale).</summary>
    public abstract float SumOfExp(float* x, float shift, float scale, int length);
}
