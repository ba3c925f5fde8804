using System.Buffers.Binary;
using System.Numerics;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The IQ types of less than 4 bits: 256 elements a block. A stored number stands for eight (IQ3: four) magnitudes of a code book; the signs stand apart, for
/// some types only seven of eight, where the eighth makes the number of minus signs even.
/// </summary>
static class BlocksGrid
{
    /// <summary>{ half d; { u8 codes[4]; u32 signs and scale } [8] }: per 32 elements d (s + 1/2) / 4 times the book's values.</summary>
    public static void DecodeIQ2_XXS(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var part = stored.Slice(2 + i / 32 * 8, 8);
            var signs = BinaryPrimitives.ReadUInt32LittleEndian(part[4..]);
            var value = CodeGrid.Iq2Xxs.Value(part[i % 32 / 8], i % 8);
            destination[i] = d * (0.5f + (signs >> 28)) * 0.25f * Signed(value, EvenSigns((int)(signs >> (i % 32 / 8 * 7)) & 127), i);
        }
    }

    /// <summary>{ half d; u16 codes[32]; u8 scales[8] }: 9 bits of code and 7 of signs; a scale of 4 bits per 16 elements.</summary>
    public static void DecodeIQ2_XS(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var code = BinaryPrimitives.ReadUInt16LittleEndian(stored[(2 + i / 8 * 2)..]);
            var value = CodeGrid.Iq2Xs.Value(code & 511, i % 8);
            destination[i] = d * (0.5f + Nibble(stored[66..], i / 16)) * 0.25f * Signed(value, EvenSigns(code >> 9), i);
        }
    }

    /// <summary>{ half d; u8 codes[32]; u8 signs[32]; u8 high[8]; u8 scales[8] }: two upper bits of each code in high; a scale of 4 bits per 16 elements.</summary>
    public static void DecodeIQ2_S(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var code = stored[2 + i / 8] | ((stored[66 + i / 32] >> (i % 32 / 8 * 2)) & 3) << 8;
            destination[i] = d * (0.5f + Nibble(stored[74..], i / 16)) * 0.25f * Signed(CodeGrid.Iq2S.Value(code, i % 8), stored[34 + i / 8], i);
        }
    }

    /// <summary>{ half d; u8 codes[64]; u32 signs and scale[8] }: per 32 elements d (s + 1/2) / 2 times the book's values.</summary>
    public static void DecodeIQ3_XXS(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var signs = BinaryPrimitives.ReadUInt32LittleEndian(stored[(66 + i / 32 * 4)..]);
            var value = CodeGrid.Iq3Xxs.Value(stored[2 + i / 4], i % 4);
            destination[i] = d * (0.5f + (signs >> 28)) * 0.5f * Signed(value, EvenSigns((int)(signs >> (i % 32 / 8 * 7)) & 127), i);
        }
    }

    /// <summary>{ half d; u8 codes[64]; u8 high[8]; u8 signs[32]; u8 scales[4] }: ninth bits of the codes in high; per 32 elements d (2 s + 1).</summary>
    public static void DecodeIQ3_S(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var code = stored[2 + i / 4] | ((stored[66 + i / 32] >> (i % 32 / 4)) & 1) << 8;
            destination[i] = d * (2 * Nibble(stored[106..], i / 32) + 1) * Signed(CodeGrid.Iq3S.Value(code, i % 4), stored[74 + i / 8], i);
        }
    }

    /// <summary>
    /// { half d; u8 codes[32]; u16 high[8] }: per 32 elements d (2 s + 1) (value + shift), where high has three upper bits of four codes each, s (3 bits),
    /// and the sign of the shift of an eighth.
    /// </summary>
    public static void DecodeIQ1_S(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 256; i++)
        {
            var high = BinaryPrimitives.ReadUInt16LittleEndian(stored[(34 + i / 32 * 2)..]);
            var code = stored[2 + i / 8] | ((high >> (i % 32 / 8 * 3)) & 7) << 8;
            destination[i] = d * (2 * ((high >> 12) & 7) + 1) * (CodeGrid.Iq1.Value(code, i % 8) + ((high & 0x8000) != 0 ? -0.125f : 0.125f));
        }
    }

    /// <summary>
    /// { u8 codes[32]; u8 high[16]; u16 scales[4] }: a nibble of high has three upper bits of a code and the sign of its shift. A number of scales has
    /// four of 3 bits, for 16 elements each, and four bits of the half d, the lowest in the first.
    /// </summary>
    public static void DecodeIQ1_M(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = (float)BitConverter.UInt16BitsToHalf(ScaleOfIQ1_M(stored));
        for (var i = 0; i < 256; i++)
        {
            var high = Nibble(stored[32..], i / 8);
            var scale = (BinaryPrimitives.ReadUInt16LittleEndian(stored[(48 + i / 64 * 2)..]) >> (i % 64 / 16 * 3)) & 7;
            var code = stored[i / 8] | (high & 7) << 8;
            destination[i] = d * (2 * scale + 1) * (CodeGrid.Iq1.Value(code, i % 8) + ((high & 8) != 0 ? -0.125f : 0.125f));
        }
    }

    /// <summary>The bits of d, which stand in the upper four bits of four numbers.</summary>
    public static ushort ScaleOfIQ1_M(ReadOnlySpan<byte> stored) =>
        (ushort)(stored[49] >> 4 | stored[51] & 0xf0 | (stored[53] & 0xf0) << 4 | (stored[55] & 0xf0) << 8);

    static int Nibble(ReadOnlySpan<byte> bytes, int i) => (bytes[i / 2] >> (i % 2 * 4)) & 15;

    static int EvenSigns(int seven) => seven | (BitOperations.PopCount((uint)seven) & 1) << 7;

    static int Signed(int value, int signs, int i) => (signs >> (i % 8) & 1) != 0 ? -value : value;
}
