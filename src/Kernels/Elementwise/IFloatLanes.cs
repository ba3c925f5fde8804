using System.Numerics;
using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>
/// Sixteen float lanes, in as many registers as the machine needs for them: one of 512 bits, two of 256, four of 128, or plain
/// floats. A kernel is written once, for lanes; since it is the lanes that fix which numbers are added to which, and in what
/// order, every width gives the same bits. <see cref="PlainLanes"/> says in plain loops what each operation means.
/// </summary>
unsafe interface IFloatLanes<TSelf> :
    IAdditionOperators<TSelf, TSelf, TSelf>,
    ISubtractionOperators<TSelf, TSelf, TSelf>,
    IMultiplyOperators<TSelf, TSelf, TSelf>,
    IDivisionOperators<TSelf, TSelf, TSelf>
    where TSelf : unmanaged, IFloatLanes<TSelf>
{
    /// <summary>Vector registers that sixteen lanes take.</summary>
    static abstract int Registers { get; }

    static abstract TSelf Broadcast(float value);

    static abstract TSelf Load(float* source);

    /// <summary>bfloat16 numbers.</summary>
    static abstract TSelf LoadBFloat16(ushort* source);

    /// <summary>
    /// Of sixteen pairs of half numbers, the first ones and the second ones, each divided by <see cref="HalfBits.Unit"/>. They must be zero or
    /// normal; others are read wrongly (<see cref="HalfBits"/> writes no others).
    /// </summary>
    static abstract void LoadHalfPairs(ushort* source, out TSelf first, out TSelf second);

    /// <summary>
    /// Asks for a cache line that will be read soon, where the processor can be asked. It comes into the second cache: in the first one there is not
    /// room for as much as memory must be asked for ahead, and few places for what is under way.
    /// </summary>
    static abstract void Prefetch(void* source);

    static abstract void Store(TSelf value, float* destination);

    /// <summary>a * b + c, rounded once.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>The greater one of finite numbers.</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>Per lane <c>a &gt; b ? yes : no</c>.</summary>
    static abstract TSelf WhereGreater(TSelf a, TSelf b, TSelf yes, TSelf no);

    static abstract TSelf Abs(TSelf value);

    /// <summary>Adds the low bits of <paramref name="exponent"/>'s representation to the exponent of <paramref name="value"/>.</summary>
    static abstract TSelf AddToExponent(TSelf value, TSelf exponent);

    /// <summary>Lanes 1 0 3 2 5 4 ...</summary>
    static abstract TSelf SwapPairs(TSelf value);

    /// <summary>Lanes 2 3 0 1 6 7 4 5 ...</summary>
    static abstract TSelf SwapTwos(TSelf value);

    /// <summary>Lanes 4 5 6 7 0 1 2 3 12 13 ...</summary>
    static abstract TSelf SwapFours(TSelf value);

    /// <summary>Lanes 8 to 15, then 0 to 7.</summary>
    static abstract TSelf SwapEights(TSelf value);

    /// <summary>Lane i is added to lane i + 8, then i + 4, i + 2, i + 1.</summary>
    static abstract float Sum(TSelf value);

    /// <summary>The greatest of finite lanes.</summary>
    static abstract float Max(TSelf value);
}

/// <summary>
/// Half numbers without subnormals, infinities and NaN, so that two integer operations turn them into floats which are <see cref="Unit"/> times too
/// small: whoever sums up products with them puts that right once, in the other factor or in the sum.
/// </summary>
static class HalfBits
{
    /// <summary>2^112: from half's exponent bias of 15 to float's of 127.</summary>
    public const float Unit = 5.192296858534828e33f;

    /// <summary>The bits that are left of a half that stands in the upper 16 bits of a number and was shifted right by three, with its sign.</summary>
    public const int Mask = unchecked((int)0x8FFFE000);

    const uint SmallestNormal = 0x3880_0000;
    const uint Largest = 0x477F_E000;
    const uint ExponentDifference = 112 << 23;

    /// <summary>Rounds to the nearest half, ties to even; too small becomes zero, too large the largest. The number must be finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        var magnitude = Math.Min(bits & int.MaxValue, Largest);
        if (magnitude < SmallestNormal) return 0;
        var rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
        return (ushort)(((bits >> 16) & 0x8000) | ((rounded - ExponentDifference) >> 13));
    }

    /// <summary>The number / <see cref="Unit"/>.</summary>
    public static float ToSmallSingle(ushort bits) => BitConverter.Int32BitsToSingle(((short)bits << 13) & Mask);

    public static float ToSingle(ushort bits) => ToSmallSingle(bits) * Unit;
}
