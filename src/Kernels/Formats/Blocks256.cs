using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The "K" types: 256 elements a block, in sub-blocks of 16 or 32 that have small integer scales (and minima) of their own,
/// which the block's half-precision d (and dmin) multiply.
/// </summary>
static class Blocks256
{
    /// <summary>{ u8 scales[16]; u8 qs[64]; half d; half dmin }: per 16 elements d (s &amp; 15) q - dmin (s >> 4).</summary>
    public static void DecodeQ2_K(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 80);
        var dmin = FloatBlocks.Half(stored, 82);
        for (var i = 0; i < 256; i++)
        {
            var scale = stored[i / 16];
            destination[i] = d * (scale & 15) * TwoBits(stored.Slice(16, 64), i) - dmin * (scale >> 4);
        }
    }

    /// <summary>{ u8 hmask[32]; u8 qs[64]; u8 scales[12]; half d }: per 16 elements d (s - 32) (q - 4), q's third bit in hmask.</summary>
    public static void DecodeQ3_K(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 108);
        for (var i = 0; i < 256; i++)
        {
            var q = TwoBits(stored.Slice(32, 64), i) | ((stored[i % 32] >> (i / 32)) & 1) << 2;
            destination[i] = d * (SixBitScales.OfQ3K(stored.Slice(96, 12), i / 16) - 32) * (q - 4);
        }
    }

    /// <summary>{ half d; half dmin; u8 scales[12]; u8 qs[128] }: per 32 elements d s q - dmin m.</summary>
    public static void DecodeQ4_K(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        var dmin = FloatBlocks.Half(stored, 2);
        for (var i = 0; i < 256; i++)
        {
            var (scale, min) = SixBitScales.OfQ4K(stored.Slice(4, 12), i / 32);
            destination[i] = d * scale * FourBits(stored.Slice(16, 128), i) - dmin * min;
        }
    }

    /// <summary>{ half d; half dmin; u8 scales[12]; u8 qh[32]; u8 qs[128] }: as Q4_K with a fifth bit in qh.</summary>
    public static void DecodeQ5_K(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        var dmin = FloatBlocks.Half(stored, 2);
        for (var i = 0; i < 256; i++)
        {
            var (scale, min) = SixBitScales.OfQ4K(stored.Slice(4, 12), i / 32);
            var q = FourBits(stored.Slice(48, 128), i) | ((stored[16 + i % 32] >> (i / 32)) & 1) << 4;
            destination[i] = d * scale * q - dmin * min;
        }
    }

    /// <summary>{ u8 ql[128]; u8 qh[64]; i8 scales[16]; half d }: per 16 elements d s (q - 32), two upper bits of q in qh.</summary>
    public static void DecodeQ6_K(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 208);
        for (var i = 0; i < 256; i++)
        {
            // Each half of 128 elements has 64 bytes of ql (low nibbles: its first 64 elements) and 32 of qh.
            var (half, j) = Math.DivRem(i, 128);
            var low = (stored[half * 64 + j % 64] >> (j / 64 * 4)) & 15;
            var high = (stored[128 + half * 32 + j % 32] >> (j / 32 * 2)) & 3;
            destination[i] = d * (sbyte)stored[192 + i / 16] * ((low | high << 4) - 32);
        }
    }

    /// <summary>Each run of 64 elements has 32 bytes: its first 32 elements in the low nibbles.</summary>
    static int FourBits(ReadOnlySpan<byte> qs, int i) => (qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4)) & 15;

    /// <summary>Each run of 128 elements has 32 bytes: its first 32 elements in the lowest two bits.</summary>
    static int TwoBits(ReadOnlySpan<byte> qs, int i) => (qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
}

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
