using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// How a block's exact integer sum enters a total: the same float operations in the same order for every width, batch and thread count.
/// a and q are the activation block's scale and integers, d and m the weights' scale and minimum.
/// </summary>
static unsafe class Terms<TLanes, V> where TLanes : ILanes<V> where V : struct
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>d s and -dmin n, both exact, of sub-blocks of 32 columns with s and n of one byte.</summary>
    /// <param name="sub">s of the register's rows; n follows 16 bytes on.</param>
    [MethodImpl(Inline)]
    public static BlockScales<V> ScalesWithMin(V scale, V min, byte* sub)
    {
        var minusMin = TLanes.MultiplySingle(min, TLanes.Spread(-1f));
        return new(
            TLanes.MultiplySingle(scale, TLanes.ToSingle(TLanes.LoadBytes(sub))),
            TLanes.MultiplySingle(minusMin, TLanes.ToSingle(TLanes.LoadBytes(sub + RowGroup.Rows))));
    }

    /// <summary>sum + offset x sum(q), in integers: codes stand for code + offset.</summary>
    [MethodImpl(Inline)]
    public static V Shifted(V sum, int offset, ActivationBlock* x) =>
        TLanes.Add(sum, TLanes.MultiplyAddShorts(TLanes.Spread(x->HalfSums), TLanes.Spread((ushort)offset * 0x0001_0001u)));

    /// <summary>total = fma(sum a, d, total).</summary>
    [MethodImpl(Inline)]
    public static V AddScaled(V total, V sum, V scale, ActivationBlock* x) =>
        TLanes.FusedMultiplyAdd(TLanes.MultiplySingle(TLanes.ToSingle(sum), TLanes.Spread(&x->Scale)), scale, total);

    /// <summary>total = fma(fma(sum, a, -offset a sum(q)), d, total): codes stand for (code - offset) d.</summary>
    /// <param name="correction">-offset a sum(q).</param>
    [MethodImpl(Inline)]
    public static V AddOffset(V total, V sum, V scale, ActivationBlock* x, float* correction)
    {
        var term = TLanes.FusedMultiplyAdd(TLanes.ToSingle(sum), TLanes.Spread(&x->Scale), TLanes.Spread(correction));
        return TLanes.FusedMultiplyAdd(term, scale, total);
    }

    /// <summary>total = fma(a sum(q), m, fma(sum a, d, total)): codes stand for code d + m.</summary>
    [MethodImpl(Inline)]
    public static V AddWithMin(V total, V sum, V scale, V min, ActivationBlock* x) =>
        TLanes.FusedMultiplyAdd(TLanes.Spread(&x->ScaledSum), min, AddScaled(total, sum, scale, x));
}
