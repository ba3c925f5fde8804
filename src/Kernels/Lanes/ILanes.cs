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

    static abstract V And(V a, V b);

    static abstract V Or(V a, V b);

    static abstract V ShiftLeft(V a, int bits);

    static abstract V ShiftRight(V a, int bits);

    /// <summary>Sum of ints.</summary>
    static abstract V Add(V a, V b);

    /// <summary>Two products of signed 16-bit numbers, added up to an int.</summary>
    static abstract V MultiplyAddShorts(V a, V b);

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
