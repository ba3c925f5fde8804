using System.Runtime.CompilerServices;

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
        KernelWidth.Avx512Vnni or KernelWidth.Avx512 => new RowMath<Lanes512>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new RowMath<Lanes256>(),
        KernelWidth.Vector128 => new RowMath<Lanes128>(),
        KernelWidth.Scalar => new RowMath<PlainLanes>(),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };

    /// <summary>y = x / sqrt(mean(x^2) + epsilon) * weight.</summary>
    public abstract void RmsNorm(float* x, float* weight, float epsilon, float* y, int length);

    /// <summary>x += y.</summary>
    public abstract void Add(float* x, float* y, int length);

    /// <summary>y = x * factor.</summary>
    public abstract void Scale(float* x, float factor, float* y, int length);

    /// <summary>x += y * factor, the product rounded for itself: it is the same number wherever it is added.</summary>
    public abstract void AddScaled(float* x, float* y, float factor, int length);

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

/// <summary>
/// Every sum runs in 16 partial sums, lane i taking numbers i, i + 16, i + 32 ..., which are then added in a fixed tree
/// (<see cref="IFloatLanes{TSelf}.Sum"/>): the order does not depend on the width of the vectors.
/// </summary>
sealed unsafe class RowMath<TLanes> : RowMath
    where TLanes : unmanaged, IFloatLanes<TLanes>
{
    const int Lanes = LaneMath<TLanes>.Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void RmsNorm(float* x, float* weight, float epsilon, float* y, int length)
    {
        var squares = TLanes.Broadcast(0);
        for (var i = 0; i < length; i += Lanes)
        {
            var values = Load(x, i, length);
            squares = TLanes.MultiplyAdd(values, values, squares);
        }

        var scale = TLanes.Broadcast(1 / MathF.Sqrt((TLanes.Sum(squares) / length) + epsilon));
        for (var i = 0; i < length; i += Lanes)
            Store(Load(x, i, length) * scale * Load(weight, i, length), y, i, length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Add(float* x, float* y, int length)
    {
        for (var i = 0; i < length; i += Lanes)
            Store(Load(x, i, length) + Load(y, i, length), x, i, length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Scale(float* x, float factor, float* y, int length)
    {
        var factors = TLanes.Broadcast(factor);
        for (var i = 0; i < length; i += Lanes)
            Store(Load(x, i, length) * factors, y, i, length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddScaled(float* x, float* y, float factor, int length)
    {
        var factors = TLanes.Broadcast(factor);
        for (var i = 0; i < length; i += Lanes)
            Store(Load(x, i, length) + (Load(y, i, length) * factors), x, i, length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SwiGlu(float* gate, float* up, int length)
    {
        var one = TLanes.Broadcast(1);
        var zero = TLanes.Broadcast(0);
        for (var i = 0; i < length; i += Lanes)
        {
            var x = Load(gate, i, length);
            Store(x / (one + LaneMath<TLanes>.Exp(zero - x)) * Load(up, i, length), gate, i, length);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Rotate(float* x, float* cosines, float* sines, int length)
    {
        for (var i = 0; i < length; i += Lanes)
        {
            var values = Load(x, i, length);
            var crossed = TLanes.SwapPairs(values) * Load(sines, i, length);
            Store(TLanes.MultiplyAdd(values, Load(cosines, i, length), crossed), x, i, length);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float MaxOfFinite(float* x, int length)
    {
        // x * 0 is NaN where x is not finite, and stays so in the sum.
        var zero = TLanes.Broadcast(0);
        var zeros = zero;
        var max = TLanes.Broadcast(float.NegativeInfinity);
        for (var i = 0; i < length; i += Lanes)
        {
            var values = length - i >= Lanes ? TLanes.Load(x + i) : LaneMath<TLanes>.LoadFirst(x + i, length - i, x[i]);
            zeros = TLanes.MultiplyAdd(values, zero, zeros);
            max = TLanes.Max(max, values);
        }
        return TLanes.Sum(zeros) == 0 ? TLanes.Max(max) : float.NaN;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Max(float* x, int length)
    {
        var max = TLanes.Broadcast(float.NegativeInfinity);
        for (var i = 0; i < length; i += Lanes)
            max = TLanes.Max(max, length - i >= Lanes ? TLanes.Load(x + i) : LaneMath<TLanes>.LoadFirst(x + i, length - i, x[i]));
        return TLanes.Max(max);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Exp(float* x, float shift, float scale, float* y, int length)
    {
        var shifts = TLanes.Broadcast(shift);
        var scales = TLanes.Broadcast(scale);
        var sum = TLanes.Broadcast(0);
        var whole = length - (length % Lanes);
        for (var i = 0; i < whole; i += Lanes)
        {
            var values = LaneMath<TLanes>.Exp((TLanes.Load(x + i) - shifts) * scales);
            TLanes.Store(values, y + i);
            sum += values;
        }

        if (whole < length)
        {
            var rest = length - whole;
            LaneMath<TLanes>.StoreFirst(LaneMath<TLanes>.Exp((LaneMath<TLanes>.LoadFirst(x + whole, rest) - shifts) * scales), y + whole, rest);
            sum += LaneMath<TLanes>.LoadFirst(y + whole, rest);
        }
        return TLanes.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float SumOfExp(float* x, float shift, float scale, int length)
    {
        var shifts = TLanes.Broadcast(shift);
        var scales = TLanes.Broadcast(scale);
        var sum = TLanes.Broadcast(0);
        for (var i = 0; i < length; i += Lanes)
        {
            var values = length - i >= Lanes ? TLanes.Load(x + i) : LaneMath<TLanes>.LoadFirst(x + i, length - i, float.NegativeInfinity);
            sum += LaneMath<TLanes>.Exp((values - shifts) * scales);
        }
        return TLanes.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes Load(float* row, int i, int length) =>
        length - i >= Lanes ? TLanes.Load(row + i) : LaneMath<TLanes>.LoadFirst(row + i, length - i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(TLanes value, float* row, int i, int length)
    {
        if (length - i >= Lanes) TLanes.Store(value, row + i);
        else LaneMath<TLanes>.StoreFirst(value, row + i, length - i);
    }
}
