using System.Runtime.CompilerServices;
using static System.BitConverter;
using static System.Runtime.CompilerServices.MethodImplOptions;
using V = uint;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>One row a "register": plain C#, for processors without vectors, and to hold the vectors against.</summary>
readonly unsafe struct ScalarLanes : IDotLanes<V>
{
    public static int Count => 1;

    [MethodImpl(AggressiveInlining)]
    public static V Load(void* source) => Unsafe.ReadUnaligned<V>(source);

    [MethodImpl(AggressiveInlining)]
    public static void Store(V value, void* destination) => Unsafe.WriteUnaligned(destination, value);

    [MethodImpl(AggressiveInlining)]
    public static V Spread(void* source) => Unsafe.ReadUnaligned<V>(source);

    [MethodImpl(AggressiveInlining)]
    public static V Spread(uint bits) => bits;

    [MethodImpl(AggressiveInlining)]
    public static V Spread(float value) => SingleToUInt32Bits(value);

    [MethodImpl(AggressiveInlining)]
    public static V LoadBytes(byte* source) => *source;

    [MethodImpl(AggressiveInlining)]
    public static V LoadSignedBytes(byte* source) => (V)(sbyte)*source;

    [MethodImpl(AggressiveInlining)]
    public static V LoadShorts(byte* source) => Unsafe.ReadUnaligned<ushort>(source);

    public static void Prefetch(void* source)
    {
    }

    public static void PrefetchPage(void* source)
    {
    }

    [MethodImpl(AggressiveInlining)]
    public static V And(V a, V b) => a & b;

    [MethodImpl(AggressiveInlining)]
    public static V Or(V a, V b) => a | b;

    [MethodImpl(AggressiveInlining)]
    public static V ShiftLeft(V a, int bits) => a << bits;

    [MethodImpl(AggressiveInlining)]
    public static V ShiftRight(V a, int bits) => a >> bits;

    [MethodImpl(AggressiveInlining)]
    public static V Add(V a, V b) => a + b;

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyInts(V a, V b) => a * b;

    [MethodImpl(AggressiveInlining)]
    public static V MultiplyAddShorts(V a, V b) => (V)((short)a * (short)b + (short)(a >> 16) * (short)(b >> 16));

    [MethodImpl(AggressiveInlining)]
    public static V AddDot(V sum, V codes, V activations) => (V)((int)sum
        + (byte)codes * (sbyte)activations
        + (byte)(codes >> 8) * (sbyte)(activations >> 8)
        + (byte)(codes >> 16) * (sbyte)(activations >> 16)
        + (byte)(codes >> 24) * (sbyte)(activations >> 24));

    [MethodImpl(AggressiveInlining)]
    public static V AddDotOf8Bits(V sum, V codes, V activations) => AddDot(sum, codes, activations);

    [MethodImpl(AggressiveInlining)]
    public static V StartOf8Bits(ActivationBlock* x) => (V)x->Minus128Sum;

    [MethodImpl(AggressiveInlining)]
    public static V Lookup(byte* table, V codes) =>
        table[codes & 15] | (V)table[codes >> 8 & 15] << 8 | (V)table[codes >> 16 & 15] << 16 | (V)table[codes >> 24 & 15] << 24;

    [MethodImpl(AggressiveInlining)]
    public static V ToSingle(V ints) => Spread((float)(int)ints);

    [MethodImpl(AggressiveInlining)]
    public static V AddSingle(V a, V b) => Spread(UInt32BitsToSingle(a) + UInt32BitsToSingle(b));

    [MethodImpl(AggressiveInlining)]
    public static V MinSingle(V a, V b) => Spread(MathF.Min(UInt32BitsToSingle(a), UInt32BitsToSingle(b)));

    [MethodImpl(AggressiveInlining)]
    public static V MultiplySingle(V a, V b) => Spread(UInt32BitsToSingle(a) * UInt32BitsToSingle(b));

    [MethodImpl(AggressiveInlining)]
    public static V FusedMultiplyAdd(V a, V b, V c) =>
        Spread(MathF.FusedMultiplyAdd(UInt32BitsToSingle(a), UInt32BitsToSingle(b), UInt32BitsToSingle(c)));
}
