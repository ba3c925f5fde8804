using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Decoding;

/// <summary>The six-bit scales of the K types, packed into 12 bytes.</summary>
static class SixBitScales
{
    /// <summary>Scale and minimum of sub-block <paramref name="j"/> (0..7) of Q4_K and Q5_K, each 0..63.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int Scale, int Min) OfQ4K(ReadOnlySpan<byte> packed, int j) => j < 4
        ? (packed[j] & 63, packed[j + 4] & 63)
        : (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4);

    /// <summary>Scale of sub-block <paramref name="j"/> (0..15) of Q3_K, 0..63, 32 standing for zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OfQ3K(ReadOnlySpan<byte> packed, int j) =>
        (packed[j % 8] >> (j / 8 * 4)) & 15 | ((packed[8 + j % 4] >> (j / 4 * 2)) & 3) << 4;

    /// <summary>Scales 2 <paramref name="pair"/> and 2 <paramref name="pair"/> + 1 of Q3_K, the first in the lower byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int PairOfQ3K(ReadOnlySpan<byte> packed, int pair)
    {
        var low = (int)(BinaryPrimitives.ReadUInt64LittleEndian(packed) >> (pair % 4 * 16 + pair / 4 * 4)) & 0x0f0f;
        var high = (int)(BinaryPrimitives.ReadUInt32LittleEndian(packed[8..]) >> (pair % 2 * 16 + pair / 2 * 2)) & 0x0303;
        return low | high << 4;
    }
}
