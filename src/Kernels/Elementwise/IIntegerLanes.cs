namespace LlamaCluster.Kernels.Elementwise;

/// <summary>
/// Sixteen lanes of 32 bits, beside the sixteen float lanes <typeparamref name="TFloats"/>: each a pair of signed 16-bit numbers, or an integer. Integers are
/// added exactly, so every width gives the same bits. <see cref="PlainIntegers"/> says in plain loops what each operation means.
/// </summary>
unsafe interface IIntegerLanes<TSelf, TFloats>
    where TSelf : unmanaged, IIntegerLanes<TSelf, TFloats>
{
    static abstract TSelf Zero { get; }

    /// <summary>The pairs of 32 signed bytes.</summary>
    static abstract TSelf LoadBytes(sbyte* source);

    /// <summary>The pairs of 32 signed numbers of 4 bits in the lower halves of 32 bytes, and those in the upper halves.</summary>
    static abstract void LoadHalfBytes(sbyte* source, out TSelf lower, out TSelf upper);

    /// <summary>A pair in all lanes.</summary>
    static abstract TSelf SpreadPair(short* pair);

    /// <summary>sum + first a * first b + second a * second b. None may be -32768.</summary>
    static abstract TSelf MultiplyAddPairs(TSelf a, TSelf b, TSelf sum);

    /// <summary>Integers as the nearest floats.</summary>
    static abstract TFloats ToSingle(TSelf integers);

    /// <summary>Rounds floats of at most 32767 in magnitude to the nearest numbers, ties to even.</summary>
    /// <param name="destination">[16]</param>
    static abstract void StoreRounded(TFloats value, short* destination);
}
