using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen lanes in one register of 512 bits (AVX-512 F and BW).</summary>
readonly unsafe struct Integers512(Vector512<int> value) : IIntegerLanes<Integers512, Lanes512>
{
    readonly Vector512<int> _value = value;

    public static Integers512 Zero => new(Vector512<int>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers512 LoadBytes(sbyte* source) => new(Widen(source).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadHalfBytes(sbyte* source, out Integers512 lower, out Integers512 upper)
    {
        var bytes = Widen(source);
        lower = new((bytes << 12 >> 12).AsInt32());
        upper = new((bytes >> 4).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers512 SpreadPair(short* pair) => new(Vector512.Create(*(int*)pair));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Integers512 MultiplyAddPairs(Integers512 a, Integers512 b, Integers512 sum)
    {
        if (Avx512BW.IsSupported) return new(sum._value + Avx512BW.MultiplyAddAdjacent(a._value.AsInt16(), b._value.AsInt16()));
        Vector512<int> firsts = (a._value << 16 >> 16) * (b._value << 16 >> 16), seconds = (a._value >> 16) * (b._value >> 16);
        return new(sum._value + firsts + seconds);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 ToSingle(Integers512 integers) => new(Vector512.ConvertToSingle(integers._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRounded(Lanes512 value, short* destination)
    {
        var rounded = (value.Value + Vector512.Create(Rounding.ToInteger)).AsInt32();
        var numbers = Avx512F.IsSupported
            ? Avx512F.ConvertToVector256Int16(rounded)
            : Vector256.Narrow(rounded.GetLower(), rounded.GetUpper());
        numbers.Store(destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<short> Widen(sbyte* source)
    {
        var bytes = Vector256.Load(source);
        return Avx512BW.IsSupported ? Avx512BW.ConvertToVector512Int16(bytes) : Vector512.Create(Vector256.WidenLower(bytes), Vector256.WidenUpper(bytes));
    }
}
