using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen lanes in two registers of 256 bits (AVX2, with VNNI where there is one).</summary>
readonly unsafe struct Integers256(Vector256<int> lower, Vector256<int> upper) : IIntegerLanes<Integers256, Lanes256>
{
    readonly Vector256<int> _lower = lower;
    readonly Vector256<int> _upper = upper;

    public static Integers256 Zero => new(Vector256<int>.Zero, Vector256<int>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers256 LoadBytes(sbyte* source) => new(Widen(source).AsInt32(), Widen(source + 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadHalfBytes(sbyte* source, out Integers256 lower, out Integers256 upper)
    {
        Vector256<short> first = Widen(source), second = Widen(source + 16);
        lower = new((first << 12 >> 12).AsInt32(), (second << 12 >> 12).AsInt32());
        upper = new((first >> 4).AsInt32(), (second >> 4).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers256 SpreadPair(short* pair)
    {
        var all = Vector256.Create(*(int*)pair);
        return new(all, all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers256 MultiplyAddPairs(Integers256 a, Integers256 b, Integers256 sum) =>
        new(MultiplyAddPairs(a._lower, b._lower, sum._lower), MultiplyAddPairs(a._upper, b._upper, sum._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 ToSingle(Integers256 integers) => new(Vector256.ConvertToSingle(integers._lower), Vector256.ConvertToSingle(integers._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRounded(Lanes256 value, short* destination)
    {
        var magic = Vector256.Create(Rounding.ToInteger);
        Vector256.Narrow((value.Lower + magic).AsInt32(), (value.Upper + magic).AsInt32()).Store(destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<int> MultiplyAddPairs(Vector256<int> a, Vector256<int> b, Vector256<int> sum)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(sum, a.AsInt16(), b.AsInt16());
        if (Avx2.IsSupported) return sum + Avx2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16());
        return sum + ((a << 16 >> 16) * (b << 16 >> 16)) + ((a >> 16) * (b >> 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<short> Widen(sbyte* source)
    {
        if (Avx2.IsSupported) return Avx2.ConvertToVector256Int16(source);
        var bytes = Vector128.Load(source);
        return Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes));
    }
}
