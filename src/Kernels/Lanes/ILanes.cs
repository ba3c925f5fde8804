using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>
/// What the kernels ask of an instruction set. <typeparamref name="V"/> is one register, taken as lanes of 32 bits of which each belongs to
/// one output row: a lane is an int, a float, or four columns' bytes of its row. No operation crosses lanes, so a row's result is
/// the same in every bit whatever the register's width; each kernel is written once for all widths.
/// </summary>
unsafe interface ILanes<V> where V : struct
{
    /// <summary>Lanes of a register: a divisor of <see cref="RowGroup.Rows"/>.</summary>
    static abstract int Count { get; }

    static abstract V Load(void* source);

    static abstract void Store(V value, void* destination);

    /// <summary>The 32 bits at <paramref name="source"/> in every lane.</summary>
    static abstract V Spread(void* source);

    static abstract V Spread(uint bits);

    static abstract V Spread(float value);

    /// <summary>One byte for each lane, as an int.</summary>
    static abstract V LoadBytes(byte* source);

    /// <summary>One signed byte for each lane, as an int.</summary>
    static abstract V LoadSignedBytes(byte* source);

    /// <summary>One unsigned 16-bit number for each lane, as an int.</summary>
    static abstract V LoadShorts(byte* source);

    static abstract void Prefetch(void* source);

    /// <summary>Asks for a line of a page that is far ahead, into the second cache: it is the page's address that is wanted.</summary>
    static abstract void PrefetchPage(void* source);

    static abstract V And(V a, V b);

    static abstract V Or(V a, V b);

    static abstract V ShiftLeft(V a, int bits);

    static abstract V ShiftRight(V a, int bits);

    /// <summary>Sum of ints.</summary>
    static abstract V Add(V a, V b);

    /// <summary>Two products of signed 16-bit numbers, added up to an int.</summary>
    static abstract V MultiplyAddShorts(V a, V b);

    /// <summary>For each byte of the codes, which are below 16, that byte of a table.</summary>
    static abstract V Lookup(byte* table, V codes);

    static abstract V ToSingle(V ints);

    /// <summary>Sum of floats.</summary>
    static abstract V AddSingle(V a, V b);

    /// <summary>The smaller float.</summary>
    static abstract V MinSingle(V a, V b);

    /// <summary>Product of floats.</summary>
    static abstract V MultiplySingle(V a, V b);

    /// <summary>a b + c in floats, rounded once.</summary>
    static abstract V FusedMultiplyAdd(V a, V b, V c);
}

/// <summary>An instruction set that adds four byte products to a 32-bit number at once (VNNI, Arm's SDOT), or is taken as such.</summary>
unsafe interface IDotLanes<V> : ILanes<V> where V : struct
{
    /// <summary>sum + the four products of codes, which are below 128, and signed activations.</summary>
    static abstract V AddDot(V sum, V codes, V activations);

    /// <summary>
    /// The same for codes up to 255. A sum over a block that begins with <see cref="StartOf8Bits"/> is that of (code - 128) x activation.
    /// </summary>
    static abstract V AddDotOf8Bits(V sum, V codes, V activations);

    /// <summary>What a block's sum of 8-bit codes begins with.</summary>
    static abstract V StartOf8Bits(ActivationBlock* x);

    /// <summary>Product of ints, modulo 2^32.</summary>
    static abstract V MultiplyInts(V a, V b);
}

/// <summary>An instruction set whose byte product adds pairs into 16 bits with saturation (x86's PMADDUBSW).</summary>
interface IPairLanes<V> : ILanes<V> where V : struct
{
    /// <summary>Unsigned codes x signed activations, added up by twos into 16-bit numbers. The caller sees to it that none saturates.</summary>
    static abstract V MultiplyAddPairs(V codes, V activations);

    /// <summary>Sum of 16-bit numbers, modulo 2^16.</summary>
    static abstract V AddShorts(V a, V b);
}

/// <summary>An instruction set that gives bytes the signs of others too (x86's PSIGNB).</summary>
interface ISignLanes<V> : IPairLanes<V> where V : struct
{
    /// <summary>Signed bytes that are codes less an offset, modulo 2^8.</summary>
    static abstract V LessOffset(V codes, int offset);

    /// <summary>Magnitudes of signed bytes, 0..128.</summary>
    static abstract V Magnitudes(V values);

    /// <summary>Activations, negated where the values are negative, and zero where these are.</summary>
    static abstract V WithSigns(V activations, V values);
}

/// <summary>
/// IEEE half to single by integer and float operations that every width has (.NET exposes no instruction for it), exact for all finite
/// numbers and without a subnormal operand, at which processors stumble.
/// </summary>
static unsafe class HalfLanes<TLanes, V> where TLanes : ILanes<V> where V : struct
{
    const float SmallestNormal = 6.103515625e-05f;
    const uint RaiseExponent = 127 - 15 << 23;

    /// <summary>One half for each lane, to a float.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(byte* source)
    {
        var half = TLanes.LoadShorts(source);
        var shifted = TLanes.ShiftLeft(TLanes.And(half, TLanes.Spread(0x7fffu)), 13);
        var magnitude = TLanes.Add(shifted, TLanes.Spread(RaiseExponent));

        // A subnormal m 2^-24 now reads (1 + m / 1024) 2^-15, as if it had a leading one: x + (x - 2^-14) takes that away again.
        var excess = TLanes.MinSingle(TLanes.AddSingle(magnitude, TLanes.Spread(-SmallestNormal)), TLanes.Spread(0f));
        var sign = TLanes.ShiftLeft(TLanes.And(half, TLanes.Spread(0x8000u)), 16);
        return TLanes.Or(TLanes.AddSingle(magnitude, excess), sign);
    }
}
