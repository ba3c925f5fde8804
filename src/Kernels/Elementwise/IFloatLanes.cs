using System.Numerics;

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

    static abstract TSelf LoadSByte(sbyte* source);

    /// <summary>Asks for a cache line that will be read soon, where the processor can be asked.</summary>
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

    /// <summary>Lane i is added to lane i + 8, then i + 4, i + 2, i + 1.</summary>
    static abstract float Sum(TSelf value);

    /// <summary>The greatest of finite lanes.</summary>
    static abstract float Max(TSelf value);
}
