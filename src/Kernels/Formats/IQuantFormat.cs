using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// A quantised tensor type: how its stored blocks are read, how they are laid out when packed, and the arithmetic of a product with it.
/// Packed, 16 rows (a group) stand together, and within a group, column block after column block:
/// <code>
/// header   16 half-precision scales d and 16 minima m, where the type has them      once for BlocksPerHeader blocks
/// block    16 bytes A, 16 bytes B, 16 bytes C where the type has them: small scales of sub-blocks, mostly
///          the codes of 16 rows x 32 columns as bit planes (see CodePlanes), or as the 32-bit words of a row that they are stored in
/// </code>
/// </summary>
unsafe interface IQuantFormat
{
    /// <summary>Blocks of 32 columns that share a header and are stored together: 8 where 256 columns share a scale, else 1 to 4.</summary>
    static abstract int BlocksPerHeader { get; }

    /// <summary>Has d in its header.</summary>
    static abstract bool HasScale { get; }

    /// <summary>Has m in its header.</summary>
    static abstract bool HasMinima { get; }

    /// <summary>Bytes A, B, C of a block for each row: 0 to 3.</summary>
    static abstract int SmallBytes { get; }

    /// <summary>Bits of a packed code: the codes of a block and a row take four times as many bytes.</summary>
    static abstract int CodeBits { get; }

    /// <summary>Integer scales of 16 columns enter the sums.</summary>
    static abstract bool ScalesHalves { get; }

    /// <summary>How <see cref="Add"/> puts a block's sum into a total, if it is one of the ways that there is machine code for.</summary>
    static virtual BlockTerm Term => BlockTerm.Other;

    /// <summary>Takes block <paramref name="block"/> (0 .. BlocksPerHeader - 1) out of the stored bytes of one header's blocks.</summary>
    static abstract StoredBlock Read(ReadOnlySpan<byte> stored, int block);

    /// <summary>Puts one row's codes into its lanes.</summary>
    /// <param name="planes">The row's lane in the first vector.</param>
    static abstract void Store(byte* planes, in StoredBlock block);

    /// <summary>The codes of a register's rows, as <see cref="Add"/> takes them.</summary>
    /// <param name="small">The bytes A of the register's rows; B and C follow 16 bytes on.</param>
    /// <param name="planes">The first row's lane in the first vector.</param>
    /// <param name="upper">The second part of 8-bit codes, see <see cref="ICodeParts.InParts"/>.</param>
    static abstract Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct;

    /// <summary>The weight that a code stands for, rounded as the format page's formula rounds.</summary>
    /// <param name="code">As <see cref="Load"/> gives it, in one part.</param>
    /// <param name="scale">d.</param>
    /// <param name="min">m.</param>
    /// <param name="small">The row's byte A; B and C follow 16 bytes on.</param>
    /// <param name="planes">The row's lane in the first vector.</param>
    /// <param name="secondHalf">Of columns 16..31.</param>
    static abstract float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf);

    /// <summary>What <see cref="Add"/> multiplies the sums of a block by.</summary>
    /// <param name="scale">d of the register's rows.</param>
    /// <param name="min">m of the register's rows, or zero.</param>
    /// <param name="small">The bytes A of the register's rows; B and C follow 16 bytes on.</param>
    /// <param name="planes">The first row's lane in the first vector.</param>
    static abstract BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct;

    /// <summary>total + the product of a block of the register's rows with the same columns of an activation row.</summary>
    /// <param name="upper">The second part of 8-bit codes, see <see cref="ICodeParts.InParts"/>.</param>
    static abstract V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct;
}

/// <summary>How a block's exact integer sum enters a total; a, q, d and m as in <see cref="Terms{TLanes, V}"/>.</summary>
enum BlockTerm
{
    /// <summary>Another way than those below, or one that only types with machine code of their own have.</summary>
    Other,

    /// <summary>Codes of 8 bits that stand for (code - 128) d: fma(sum a, d, total), the offset within the sum.</summary>
    Minus128,

    /// <summary>Codes of 5 bits that stand for (code - 16) d: fma(fma(sum, a, -16 a sum(q)), d, total).</summary>
    Minus16,

    /// <summary>Codes of at most 5 bits that stand for code d + m: fma(a sum(q), m, fma(sum a, d, total)).</summary>
    WithMin,

    /// <summary>Codes of 6 bits that stand for (code - 32) s d, with an integer s for each half of the block: fma(sum a, d, total), s within the sum.</summary>
    Minus32Halves,

    /// <summary>The same with codes of 7 bits that stand for (code - 64) s d.</summary>
    Minus64Halves,
}

/// <summary>32 columns of one row as they are stored: unsigned codes and scales, nothing multiplied yet.</summary>
/// <param name="First">Codes of columns 0..15, or the words that hold all codes.</param>
/// <param name="Second">Codes of columns 16..31.</param>
/// <param name="Scale">d, an IEEE half.</param>
/// <param name="Min">m, an IEEE half; 0 for types without.</param>
/// <param name="A">First small scale, for types that have them.</param>
/// <param name="B">Second small scale.</param>
/// <param name="C">A third byte.</param>
readonly record struct StoredBlock(Vector128<byte> First, Vector128<byte> Second, ushort Scale, ushort Min = 0, byte A = 0, byte B = 0, byte C = 0);

/// <summary>The factors of a block for a register's rows; a format uses those that it needs.</summary>
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
readonly struct BlockScales<V>(V scale, V min = default, V first = default, V second = default, V minPairs = default) where V : struct
{
    /// <summary>Floats: factor of the sum of code x activation.</summary>
    public readonly V Scale = scale;

    /// <summary>Floats: factor of the sum of activations; of the sum over columns 16..31 where each half has a float of its own.</summary>
    public readonly V Min = min;

    /// <summary>Integer scales of columns 0..15 and 16..31, as <see cref="Lanes.IBlockSums{V}.SubScale"/> makes them.</summary>
    public readonly V First = first, Second = second;

    /// <summary>Integer minima of columns 0..15 and 16..31, as two 16-bit numbers.</summary>
    public readonly V MinPairs = minPairs;
}
