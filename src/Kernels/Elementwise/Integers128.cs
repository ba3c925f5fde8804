using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen lanes in four registers of 128 bits (Arm NEON, SSE).</summary>
readonly unsafe struct Integers128(Vector128<int> a, Vector128<int> b, Vector128<int> c, Vector128<int> d) : IIntegerLanes<Integers128, Lanes128>
{
    readonly Vector128<int> _a = a; // lanes 0..3
    readonly Vector128<int> _b = b; // lanes 4..7
    readonly Vector128<int> _c = c; // lanes 8..11
    readonly Vector128<int> _d = d; // lanes 12..15

    public static Integers128 Zero => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers128 LoadBytes(sbyte* source)
    {
        var (a, b) = Vector128.Widen(Vector128.Load(source));
        var (c, d) = Vector128.Widen(Vector128.Load(source + 16));
        return new(a.AsInt32(), b.AsInt32(), c.AsInt32(), d.AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadHalfBytes(sbyte* source, out Integers128 lower, out Integers128 upper)
    {
        var (a, b) = Vector128.Widen(Vector128.Load(source));
        var (c, d) = Vector128.Widen(Vector128.Load(source + 16));
        lower = new((a << 12 >> 12).AsInt32(), (b << 12 >> 12).AsInt32(), (c << 12 >> 12).AsInt32(), (d << 12 >> 12).AsInt32());
        upper = new((a >> 4).AsInt32(), (b >> 4).AsInt32(), (c >> 4).AsInt32(), (d >> 4).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers128 SpreadPair(short* pair)
    {
        var all = Vector128.Create(*(int*)pair);
        return new(all, all, all, all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers128 MultiplyAddPairs(Integers128 x, Integers128 y, Integers128 sum) => new(
        MultiplyAddPairs(x._a, y._a, sum._a),
        MultiplyAddPairs(x._b, y._b, sum._b),
        MultiplyAddPairs(x._c, y._c, sum._c),
        MultiplyAddPairs(x._d, y._d, sum._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 ToSingle(Integers128 integers) => new(
        Vector128.ConvertToSingle(integers._a),
        Vector128.ConvertToSingle(integers._b),
        Vector128.ConvertToSingle(integers._c),
        Vector128.ConvertToSingle(integers._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRounded(Lanes128 value, short* destination)
    {
        var magic = Vector128.Create(Rounding.ToInteger);
        Vector128.Narrow((value.A + magic).AsInt32(), (value.B + magic).AsInt32()).Store(destination);
        Vector128.Narrow((value.C + magic).AsInt32(), (value.D + magic).AsInt32()).Store(destination + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<int> MultiplyAddPairs(Vector128<int> x, Vector128<int> y, Vector128<int> sum)
    {
        if (Sse2.IsSupported) return sum + Sse2.MultiplyAddAdjacent(x.AsInt16(), y.AsInt16());
        if (AdvSimd.Arm64.IsSupported)
        {
            Vector128<short> a = x.AsInt16(), b = y.AsInt16();
            return sum + AdvSimd.Arm64.AddPairwise(AdvSimd.MultiplyWideningLower(a.GetLower(), b.GetLower()), AdvSimd.MultiplyWideningUpper(a, b));
        }
        return sum + ((x << 16 >> 16) * (y << 16 >> 16)) + ((x >> 16) * (y >> 16));
    }
}
