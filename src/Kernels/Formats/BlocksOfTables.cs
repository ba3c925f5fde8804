using System.Buffers.Binary;

namespace LlamaCluster.Kernels.Formats;

/// <summary>The types whose codes stand for one of 2, 3, 4 or 16 values.</summary>
static class BlocksOfTables
{
    /// <summary>What a code of IQ4_NL and IQ4_XS stands for.</summary>
    public static ReadOnlySpan<sbyte> Iq4Values => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>
    /// Twice the FP4 (E2M1) number of a code
    /// (https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf).
    /// </summary>
    public static ReadOnlySpan<sbyte> Fp4Values => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    /// <summary>{ half d; u8 qs[16] }: d times the value of a code; element i in a low and i + 16 in a high nibble.</summary>
    public static void DecodeIQ4_NL(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 32; i++) destination[i] = d * Iq4Values[Nibble(stored[2..], i)];
    }

    /// <summary>{ half d; u16 upper; u8 lower[4]; u8 qs[128] }: per 32 elements d (s - 32), s of 6 bits, four of them in lower.</summary>
    public static void DecodeIQ4_XS(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
            destination[i] = d * (ScaleOfIQ4_XS(stored, i / 32) - 32) * Iq4Values[Nibble(stored.Slice(8 + i / 32 * 16, 16), i % 32)];
    }

    /// <summary>The scale of 32 elements, 0..63, 32 standing for zero.</summary>
    public static int ScaleOfIQ4_XS(ReadOnlySpan<byte> stored, int j) =>
        (stored[4 + j / 2] >> (j % 2 * 4)) & 15 | ((BinaryPrimitives.ReadUInt16LittleEndian(stored[2..]) >> (2 * j)) & 3) << 4;

    /// <summary>{ u8 e; u8 qs[16] }: 2^(e - 127) times the FP4 number; e = 255 is no number.</summary>
    public static void DecodeMXFP4(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var half = stored[0] == 255 ? float.NaN : MathF.ScaleB(1, stored[0] - 128);
        for (var i = 0; i < 32; i++) destination[i] = half * Fp4Values[Nibble(stored[1..], i)];
    }

    /// <summary>{ u8 scales[4]; u8 qs[32] }: per 16 elements a scale of UE4M3 times the FP4 number; element i in a low and i + 8 in a high nibble.</summary>
    public static void DecodeNVFP4(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        for (var i = 0; i < 64; i++)
        {
            var code = (stored[4 + i / 16 * 8 + i % 8] >> (i % 16 / 8 * 4)) & 15;
            destination[i] = HalfOfUE4M3(stored[i / 16]) * Fp4Values[code];
        }
    }

    /// <summary>Half a number of four bits of exponent (bias 7) and three of fraction. 0x7f counts as zero, as in ggml.</summary>
    public static float HalfOfUE4M3(byte bits)
    {
        if (bits == 0x7f) return 0;
        var (exponent, fraction) = (bits >> 3 & 15, bits & 7);
        return exponent == 0 ? MathF.ScaleB(fraction, -10) : MathF.ScaleB(8 + fraction, exponent - 11);
    }

    /// <summary>{ u8 qs[64]; half d }: d (q - 1); each run of 128 elements has 32 bytes, its first 32 elements in the lowest two bits.</summary>
    public static void DecodeTQ2_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 64);
        for (var i = 0; i < 256; i++) destination[i] = d * (((stored[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3) - 1);
    }

    /// <summary>{ u8 qs[48]; u8 qh[4]; half d }: d (digit - 1), five ternary digits in a byte of qs, four in one of qh.</summary>
    public static void DecodeTQ1_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 52);
        for (var i = 0; i < 256; i++) destination[i] = d * (DigitOfTQ1_0(stored, i) - 1);
    }

    /// <summary>
    /// Digit n of a byte is the whole part of three times its fraction after n such steps, a byte being so many 256ths. 32 bytes have elements 0..159, a
    /// run of 32 for each digit, 16 bytes 160..239, runs of 16, and four bytes the last 16.
    /// </summary>
    public static int DigitOfTQ1_0(ReadOnlySpan<byte> stored, int i)
    {
        var (at, digit) = i < 160 ? (i % 32, i / 32) : i < 240 ? (32 + (i - 160) % 16, (i - 160) / 16) : (48 + (i - 240) % 4, (i - 240) / 4);
        int fraction = stored[at];
        for (; digit > 0; digit--) fraction = fraction * 3 & 255;
        return fraction * 3 >> 8;
    }

    /// <summary>{ half d; u8 bits[16] }: d or -d, 128 elements.</summary>
    public static void DecodeQ1_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 128; i++) destination[i] = (stored[2 + i / 8] >> (i % 8) & 1) != 0 ? d : -d;
    }

    /// <summary>{ half d; u8 qs[16] }: d (q - 1), 64 elements, four consecutive ones in a byte.</summary>
    public static void DecodeQ2_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 64; i++) destination[i] = d * (((stored[2 + i / 4] >> (i % 4 * 2)) & 3) - 1);
    }

    static int Nibble(ReadOnlySpan<byte> qs, int i) => i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
