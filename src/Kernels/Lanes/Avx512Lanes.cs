using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static System.Runtime.CompilerServices.MethodImplOptions;
using V = System.Runtime.Intrinsics.Vector512<byte>;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>16 rows a register: AVX-512 F and BW. .NET has no 512-bit VNNI, so byte products go by pairs.</summary>
readonly unsafe struct Avx512Lanes : IPairLanes<V>
{
    public static int Count => 16;

    [MethodImpl(AggressiveInlining)]
    public static V Load(void* source) => Vector512.Load((byte*)source);

    [MethodImpl(AggressiveInlining)]
    public static void Store(V value, void* destination) => value.Store((byte*)destination);

    [MethodImpl(AggressiveInlining)]
    public static V Spread(void* source) => Vector512.Create(Unsafe.ReadUnaligned<uint>(source)).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(uint bits) => Vector512.Create(bits).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Spread(float value) => Vector512.Create(value).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadBytes(byte* source) => Avx512F.ConvertToVector512Int32(Vector128.Load(source)).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadSignedBytes(byte* source) => Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)source)).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V LoadShorts(byte* source) => Avx512F.ConvertToVector512Int32(Vector256.Load((ushort*)source)).AsByte();

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
        Avx512BW.MultiplyAddAdjacent(codes, activations.AsSByte()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyAddShorts(V a, V b) =>
        Avx512BW.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V Lookup(byte* table, V codes) =>
        Avx512BW.Shuffle(Avx512F.BroadcastVector128ToVector512((int*)table).AsByte(), codes);

    [MethodImpl(AggressiveInlining)]
    public static V ToSingle(V ints) => Vector512.ConvertToSingle(ints.AsInt32()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V AddSingle(V a, V b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MinSingle(V a, V b) => Avx512F.Min(a.AsSingle(), b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V MultiplySingle(V a, V b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(AggressiveInlining)]
    public static V FusedMultiplyAdd(V a, V b, V c) =>
        Avx512F.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();
}
