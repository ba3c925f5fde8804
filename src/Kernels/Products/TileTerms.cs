using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using V = System.Runtime.Intrinsics.Vector256<byte>;

namespace LlamaCluster.Kernels.Products;

/// <summary>How a block's exact integer sum enters a total of 8 rows: <see cref="Terms{TLanes, V}"/>, one for each <see cref="BlockTerm"/>.</summary>
unsafe interface ITileTerm
{
    /// <param name="lane">The first of the rows, 0 or 8.</param>
    static abstract V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x);
}

readonly unsafe struct ScaledTerm : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddScaled(total, sum, Avx2Lanes.Load(w->Scales + lane), x);
}

readonly unsafe struct Minus8Term : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddOffset(total, sum, Avx2Lanes.Load(w->Scales + lane), x, &x->Minus8ScaledSum);
}

readonly unsafe struct Minus16Term : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddOffset(total, sum, Avx2Lanes.Load(w->Scales + lane), x, &x->Minus16ScaledSum);
}

readonly unsafe struct WithMinTerm : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddWithMin(total, sum, Avx2Lanes.Load(w->Scales + lane), Avx2Lanes.Load(w->Minima + lane), x);
}

readonly unsafe struct TwiceMinus15Term : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddScaled(total, Terms<Avx2Lanes, V>.Shifted(Avx2Lanes.Add(sum, sum), -15, x), Avx2Lanes.Load(w->Scales + lane), x);
}

readonly unsafe struct Minus9Term : ITileTerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V total, V sum, TileOperands* w, int lane, ActivationBlock* x) =>
        Terms<Avx2Lanes, V>.AddScaled(total, Terms<Avx2Lanes, V>.Shifted(sum, -9, x), Avx2Lanes.Load(w->Scales + lane), x);
}
