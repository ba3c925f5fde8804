using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

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
