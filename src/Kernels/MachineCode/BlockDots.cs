using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.MachineCode;

/// <summary>What a call of <see cref="BlockDots"/> takes of the weights: 32 columns of two groups of 16 rows.</summary>
unsafe struct BlockOperands
{
    /// <summary>Codes of 8 bits of the first group, in the order of <see cref="Codes{V}"/>, and those of the second.</summary>
    public fixed byte Codes[2 * GroupBytes];

    /// <summary>d of both groups.</summary>
    public fixed float Scales[2 * RowGroup.Rows];

    /// <summary>m of both groups.</summary>
    public fixed float Minima[2 * RowGroup.Rows];

    /// <summary>Integer scales of columns 0..15 of both groups, and of columns 16..31.</summary>
    public fixed int FirstHalf[2 * RowGroup.Rows], SecondHalf[2 * RowGroup.Rows];

    /// <summary>What the sums of the activations of columns 0..15 and of 16..31 are multiplied by, as 16-bit numbers, for both groups.</summary>
    public fixed int HalfOffsets[2 * RowGroup.Rows];

    /// <summary>Codes of a group.</summary>
    public const int GroupBytes = ActivationBlock.Columns * RowGroup.Rows;
}

/// <summary>
/// Machine code for AVX-512 VNNI: a block of weights meets the same columns of many activation rows.
/// There is a function for each <see cref="BlockTerm"/>; each keeps the codes of two groups in registers, and does for a row what
/// <see cref="Terms{TLanes, V}"/> does: the same float operations in the same order, after sums of integers that are exact.
/// <para>The code is what an assembler makes of the listing in the tests (BlockDotsListing), which they compare byte for byte.</para>
/// </summary>
static unsafe class BlockDots
{
    /// <summary>From the totals of the first group to those of the second.</summary>
    public const int TotalsBytes = ProductTask.TileRows * RowGroup.Rows * sizeof(float);

    /// <summary>From one function to the next.</summary>
    const int FunctionBytes = 512;

    /// <summary>The terms that there is a function for, in the order of the functions.</summary>
    public static IReadOnlyList<BlockTerm> Terms { get; } = [.. Enum.GetValues<BlockTerm>().Where(term => term is not BlockTerm.Other)];

    static readonly byte* Code = CodePages.Load([.. Terms.Select(Bytes)], FunctionBytes);

    /// <summary>
    /// totals[rows, 16] of the first group, and of the second, which is <see cref="TotalsBytes"/> on, += x[rows, 32] . block[16, 32]^T.
    /// </summary>
    /// <param name="x">The rows' blocks one after the other.</param>
    /// <param name="rows">1 to <see cref="ProductTask.TileRows"/>, which take a third of a microsecond: the garbage collector waits for it.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(BlockTerm term, BlockOperands* operands, ActivationBlock* x, float* totals, int rows) =>
        ((delegate* unmanaged[SuppressGCTransition]<BlockOperands*, ActivationBlock*, float*, nint, void>)(Code + ((int)term - 1) * FunctionBytes))(
            operands, x, totals, rows);

    /// <summary>The code of one function.</summary>
    public static byte[] Bytes(BlockTerm term) => Convert.FromHexString(term switch
    {
        BlockTerm.Minus128 =>
            "62f17e486f0762717e486f470862f17e486f4f0162717e486f4f0962f17e486f570262717e486f570a62f17e486f5f0362717e486f5f0b62f17e486f670462717e486f67" +
            "0c62f17e486f6f0562717e486f6f0d62f17e486f770662717e486f770e62f17e486f7f0762717e486f7f0f62e17c4810571062e17c48105f1162e27d4858460c62a17d48" +
            "6fc862e27d48582e62a27d4850c562a23d4850cd62e27d4858760162a2754850c662a2354850ce62e27d48586e0262a26d4850c562a22d4850cd62e27d4858760362a265" +
            "4850c662a2254850ce62e27d48586e0462a25d4850c562a21d4850cd62e27d4858760562a2554850c662a2154850ce62e27d48586e0662a24d4850c562a20d4850cd62e2" +
            "7d4858760762a2454850c662a2054850ce62e27d4818660862a17c485bc062a17c485bc962a17c4059c462a1744059cc62e26d40a80262e26540a84a4062e17c48110262" +
            "e17c48114a404883c6404883c24048ffc90f8512ffffffc5f877c3",
        BlockTerm.Minus16 =>
            "62f17e486f0762717e486f470862f17e486f4f0162717e486f4f0962f17e486f570262717e486f570a62f17e486f5f0362717e486f5f0b62f17e486f670462717e486f67" +
            "0c62f17e486f6f0562717e486f6f0d62f17e486f770662717e486f770e62f17e486f7f0762717e486f7f0f62e17c4810571062e17c48105f1162a17d40efc062a17d486f" +
            "c862e27d48582e62a27d4850c562a23d4850cd62e27d4858760162a2754850c662a2354850ce62e27d48586e0262a26d4850c562a22d4850cd62e27d4858760362a26548" +
            "50c662a2254850ce62e27d48586e0462a25d4850c562a21d4850cd62e27d4858760562a2554850c662a2154850ce62e27d48586e0662a24d4850c562a20d4850cd62e27d" +
            "4858760762a2454850c662a2054850ce62e27d4818660862a17c485bc062a17c485bc962e25d50a8460b62e25d50a84e0b62e26d40a80262e26540a84a4062e17c481102" +
            "62e17c48114a404883c6404883c24048ffc90f8511ffffffc5f877c3",
        BlockTerm.WithMin =>
            "62f17e486f0762717e486f470862f17e486f4f0162717e486f4f0962f17e486f570262717e486f570a62f17e486f5f0362717e486f5f0b62f17e486f670462717e486f67" +
            "0c62f17e486f6f0562717e486f6f0d62f17e486f770662717e486f770e62f17e486f7f0762717e486f7f0f62e17c4810571062e17c48105f1162e17c48107f1262617c48" +
            "10471362a17d40efc062a17d486fc862e27d48582e62a27d4850c562a23d4850cd62e27d4858760162a2754850c662a2354850ce62e27d48586e0262a26d4850c562a22d" +
            "4850cd62e27d4858760362a2654850c662a2254850ce62e27d48586e0462a25d4850c562a21d4850cd62e27d4858760562a2554850c662a2154850ce62e27d48586e0662" +
            "a24d4850c562a20d4850cd62e27d4858760762a2454850c662a2054850ce62e27d4818660862a17c485bc062a17c485bc962a17c4059c462a1744059cc62e26d40a80262" +
            "e26540a84a4062e27d4818660962a24540b8c462a23d40b8cc62e17c48110262e17c48114a404883c6404883c24048ffc90f8500ffffffc5f877c3",
        BlockTerm.Minus32Halves or BlockTerm.Minus64Halves =>
            "62f17e486f0762717e486f470862f17e486f4f0162717e486f4f0962f17e486f570262717e486f570a62f17e486f5f0362717e486f5f0b62f17e486f670462717e486f67" +
            "0c62f17e486f6f0562717e486f6f0d62f17e486f770662717e486f770e62f17e486f7f0762717e486f7f0f62e17c4810571062e17c48105f1162617e486f4f1462617e48" +
            "6f571562617e486f5f1662617e486f671762617e486f6f1862617e486f771962a17d40efc062a17d486fc862e27d48582e62a27d4850c562a23d4850cd62e27d48587601" +
            "62a2754850c662a2354850ce62e27d48586e0262a26d4850c562a22d4850cd62e27d4858760362a2654850c662a2254850ce62a17d486ff862217d486fc162a17d40efc0" +
            "62a17540efc962e27d48586e0462a25d4850c562a21d4850cd62e27d4858760562a2554850c662a2154850ce62e27d48586e0662a24d4850c562a20d4850cd62e27d4858" +
            "760762a2454850c662a2054850ce6282454040f962023d4040c262827d4040c36282754040cc62a17d40fec762817540fec862e27d4858660d62a11540f5fc62210d40f5" +
            "c462a17d40fec762817540fec862e27d4818660862a17c485bc062a17c485bc962a17c4059c462a1744059cc62e26d40a80262e26540a84a4062e17c48110262e17c4811" +
            "4a404883c6404883c24048ffc90f85b8feffffc5f877c3",
        _ => throw new ArgumentOutOfRangeException(nameof(term), term, "there is no machine code for it"),
    });
}
