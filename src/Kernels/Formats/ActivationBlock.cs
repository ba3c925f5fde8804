using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// 32 columns of one activation row as 8-bit integers, x = Scale q, with the sums that offsets and minima of the weights' codes are
/// multiplied by. One cache line.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
unsafe struct ActivationBlock
{
    /// <summary>Columns of a block.</summary>
    public const int Columns = 32;

    /// <summary>q, -127..127.</summary>
    public fixed sbyte Values[Columns];

    /// <summary>
    /// The largest |x| of the block, or of the eight blocks that share a scale, over 127; not a number if they hold an infinity or no number.
    /// </summary>
    public float Scale;

    /// <summary>Scale x the sum of q.</summary>
    public float ScaledSum;

    /// <summary>-8 x <see cref="ScaledSum"/>: the offset of 4-bit codes.</summary>
    public float Minus8ScaledSum;

    /// <summary>-16 x <see cref="ScaledSum"/>: the offset of 5-bit codes.</summary>
    public float Minus16ScaledSum;

    /// <summary>-128 x the sum of q: the offset of 8-bit codes.</summary>
    public int Minus128Sum;

    /// <summary>The sums of q over columns 0..15 and 16..31.</summary>
    public fixed short HalfSums[2];

    /// <summary>
    /// -32 x the sums of q over the columns whose pair products meet in one 16-bit number: of columns 0..15 those with c mod 4 = 0, 1 and
    /// those with c mod 4 = 2, 3; likewise of columns 16..31.
    /// </summary>
    public fixed short Minus32Pairs[4];
}
