using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using static System.Runtime.CompilerServices.MethodImplOptions;
using V = System.Runtime.Intrinsics.Vector128<byte>;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>4 rows a register, on any processor with 128-bit vectors: Arm (with SDOT where there is one), and x86 without AVX2.</summary>
readonly unsafe struct Vector128Lanes : IDotLanes<V>
{
    public static int Count => 4;

    [MethodImpl(AggressiveInlining)]
    public static V Load(void* source) => Vector128.Load((byte*)source);

    [MethodImpl(AggressiveInlining)]
    public static void Store(V value, void* destination) => value.Store((byte*)destination);

    [MethodImpl(AggressiveInlining)]
    public static V Spread(void* source) => Vector128.Create(Unsafe.ReadUnaligned<uint>(source)).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(uint bits) => Vector128.Create(bits).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(float value) => Vector128.Create(value).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadBytes(byte* source) =>
        Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(source)).AsByte())).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadSignedBytes(byte* source) =>
        Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(source)).AsSByte())).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadShorts(byte* source) =>
        Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(source)).AsUInt16()).AsByte();

    /// <summary>.NET offers no prefetch on Arm.</summary>
    [MethodImpl(AggressiveInlining)]
    public static void Prefetch(void* source)
    {
        if (Sse.IsSupported) Sse.Prefetch0(source);
    }

    [MethodImpl(AggressiveInlining)]
    public static void PrefetchPage(void* source)
    {
        if (Sse.IsSupported) Sse.Prefetch1(source);
    }

    [MethodImpl(AggressiveInlining)]
    public static V And(V a, V b) => a & b;

    [MethodImpl(AggressiveInlining)]
    public static V Or(V a, V b) => a | b;

    [MethodImpl(AggressiveInlining)]
    public static V ShiftLeft(V a, int bits) => (a.AsUInt32() << bits).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V ShiftRight(V a, int bits) => (a.AsUInt32() >> bits).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Add(V a, V b) => (a.AsInt32() + b.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyInts(V a, V b) => (a.AsInt32() * b.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyAddShorts(V a, V b)
    {
        if (Sse2.IsSupported) return Sse2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte();
        var lower = ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);
        return (lower + (a.AsInt32() >> 16) * (b.AsInt32() >> 16)).AsByte();
    }

    [MethodImpl(AggressiveInlining)]
    public static V AddDot(V sum, V codes, V activations)
    {
        if (Dp.IsSupported) return Dp.DotProduct(sum.AsInt32(), codes.AsSByte(), activations.AsSByte()).AsByte();

        // A product of a byte and a signed byte fits in 16 bits, the sum of two may not.
        var ones = Vector128<short>.One.AsByte();
        var even = (codes.AsInt16() & Vector128.Create((short)0xff)) * ((activations.AsInt16() << 8) >> 8);
        var odd = (codes.AsUInt16() >> 8).AsInt16() * (activations.AsInt16() >> 8);
        return Add(Add(sum, MultiplyAddShorts(even.AsByte(), ones)), MultiplyAddShorts(odd.AsByte(), ones));
    }

    [MethodImpl(AggressiveInlining)]
    public static V AddDotOf8Bits(V sum, V codes, V activations) =>
        AddDot(sum, Dp.IsSupported ? codes ^ Vector128.Create((byte)128) : codes, activations);

    /// <summary>SDOT takes signed codes, so that their offset is gone already.</summary>
    [MethodImpl(AggressiveInlining)]
    public static V StartOf8Bits(ActivationBlock* x) => Dp.IsSupported ? default : Spread(&x->Minus128Sum);

    [MethodImpl(AggressiveInlining)]
    public static V Lookup(byte* table, V codes) =>
        Vector128.ShuffleNative(Vector128.Load(table), codes);

    [MethodImpl(AggressiveInlining)]
    public static V ToSingle(V ints) => Vector128.ConvertToSingle(ints.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V AddSingle(V a, V b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MinSingle(V a, V b) => Vector128.MinNative(a.AsSingle(), b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplySingle(V a, V b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V FusedMultiplyAdd(V a, V b, V c) =>
        Vector128.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();
}
