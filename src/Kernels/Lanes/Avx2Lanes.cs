using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static System.Runtime.CompilerServices.MethodImplOptions;
using V = System.Runtime.Intrinsics.Vector256<byte>;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>8 rows a register: AVX2 and FMA; byte products by pairs, or by fours where there is AVX-VNNI.</summary>
readonly unsafe struct Avx2Lanes : ISignLanes<V>, IDotLanes<V>
{
    public static int Count => 8;

    [MethodImpl(AggressiveInlining)]
    public static V Load(void* source) => Vector256.Load((byte*)source);

    [MethodImpl(AggressiveInlining)]
    public static void Store(V value, void* destination) => value.Store((byte*)destination);

    [MethodImpl(AggressiveInlining)]
    public static V Spread(void* source) => Vector256.Create(Unsafe.ReadUnaligned<uint>(source)).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(uint bits) => Vector256.Create(bits).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(float value) => Vector256.Create(value).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadBytes(byte* source) => Avx2.ConvertToVector256Int32(source).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadSignedBytes(byte* source) => Avx2.ConvertToVector256Int32((sbyte*)source).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadShorts(byte* source) => Avx2.ConvertToVector256Int32((ushort*)source).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static void Prefetch(void* source) => Sse.Prefetch0(source);

    [MethodImpl(AggressiveInlining)]
    public static void PrefetchPage(void* source) => Sse.Prefetch1(source);

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
    public static V AddShorts(V a, V b) => (a.AsInt16() + b.AsInt16()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyAddPairs(V codes, V activations) =>
        Avx2.MultiplyAddAdjacent(codes, activations.AsSByte()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LessOffset(V codes, int offset) => codes - Vector256.Create((byte)offset);

    [MethodImpl(AggressiveInlining)]
    public static V Magnitudes(V values) => Avx2.Abs(values.AsSByte());

    [MethodImpl(AggressiveInlining)]
    public static V WithSigns(V activations, V values) => Avx2.Sign(activations.AsSByte(), values.AsSByte()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyAddShorts(V a, V b) =>
        Avx2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V AddDot(V sum, V codes, V activations) => AvxVnni.MultiplyWideningAndAdd(sum.AsInt32(), codes, activations.AsSByte()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V AddDotOf8Bits(V sum, V codes, V activations) => AddDot(sum, codes, activations);

    [MethodImpl(AggressiveInlining)]
    public static V StartOf8Bits(ActivationBlock* x) => Spread(&x->Minus128Sum);

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyInts(V a, V b) => (a.AsInt32() * b.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Lookup(byte* table, V codes) =>
        Avx2.Shuffle(Avx2.BroadcastVector128ToVector256(table), codes);

    [MethodImpl(AggressiveInlining)]
    public static V ToSingle(V ints) => Vector256.ConvertToSingle(ints.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V AddSingle(V a, V b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MinSingle(V a, V b) => Avx.Min(a.AsSingle(), b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplySingle(V a, V b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V FusedMultiplyAdd(V a, V b, V c) =>
        Fma.MultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();
}
