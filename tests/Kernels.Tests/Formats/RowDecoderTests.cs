using System.Buffers.Binary;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Formats;

/// <summary>Blocks written by hand from the format page, with the values that the page's formulas give for them.</summary>
public sealed class RowDecoderTests
{
    [Fact]
    public void F32_is_little_endian() => Expect(TensorType.F32, [0x00, 0x00, 0xc0, 0x3f, 0x00, 0x00, 0x00, 0xc0], [1.5f, -2f]);

    [Fact]
    public void F16_has_subnormals() =>
        Expect(TensorType.F16, [0x00, 0x3c, 0x01, 0x00, 0x00, 0xc4, 0xff, 0x7b], [1f, 5.9604645e-8f, -4f, 65504f]);

    [Fact]
    public void BF16_is_the_upper_half_of_f32() => Expect(TensorType.BF16, [0x80, 0x3f, 0x49, 0x40], [1f, 3.140625f]);

    /// <summary>All numbers of 16 bits, begun at each place of a vector, as .NET has them.</summary>
    [Theory]
    [InlineData(TensorType.F16)]
    [InlineData(TensorType.BF16)]
    public void Numbers_of_16_bits_are_decoded_alike_wherever_they_stand(TensorType type)
    {
        for (var first = 0; first < 33; first++)
        {
            var stored = new byte[2 * ((1 << 16) - first)];
            for (var i = 0; i < stored.Length / 2; i++) BinaryPrimitives.WriteUInt16LittleEndian(stored.AsSpan(2 * i), (ushort)(i + first));
            var actual = new float[stored.Length / 2];
            RowDecoder.Decode(type, stored, actual);
            for (var i = 0; i < actual.Length; i++)
            {
                var bits = (ushort)(i + first);
                var expected = type == TensorType.F16 ? (float)BitConverter.UInt16BitsToHalf(bits) : BitConverter.UInt32BitsToSingle((uint)bits << 16);
                if (!(float.IsNaN(expected) && float.IsNaN(actual[i])) && BitConverter.SingleToInt32Bits(expected) != BitConverter.SingleToInt32Bits(actual[i]))
                    Assert.Fail($"{type} {bits:x4} from {first} on is {actual[i]:R}, not {expected:R}");
            }
        }
    }

    [Fact]
    public void Q8_0_is_d_times_q()
    {
        var stored = new byte[34];
        PutHalf(stored, 0, 0.5f);
        (stored[2], stored[3], stored[33]) = (127, 0x80, 0xff);
        var expected = new float[32];
        (expected[0], expected[1], expected[31]) = (63.5f, -64f, -0.5f);
        Expect(TensorType.Q8_0, stored, expected);
    }

    [Fact]
    public void Q4_0_holds_element_i_and_i_plus_16_in_a_byte()
    {
        var stored = new byte[18];
        PutHalf(stored, 0, -2f);
        stored.AsSpan(2).Fill(0x88);
        (stored[2], stored[17]) = (0xf0, 0x1a);
        var expected = new float[32];
        (expected[0], expected[16], expected[15], expected[31]) = (16f, -14f, -4f, 14f);
        Expect(TensorType.Q4_0, stored, expected);
    }

    [Fact]
    public void Q4_1_has_a_minimum()
    {
        var stored = Block(TensorType.Q4_1, (0, 0.5f), (2, -1f));
        stored[4] = 0x3f;
        Expect(TensorType.Q4_1, stored, Values(32, -1f, (0, 6.5f), (16, 0.5f)));
    }

    [Fact]
    public void Q5_0_has_fifth_bits_apart()
    {
        var stored = Block(TensorType.Q5_0, (0, 1f));
        (stored[2], stored[5], stored[6], stored[21]) = (0x01, 0x80, 0x01, 0xf0);
        Expect(TensorType.Q5_0, stored, Values(32, -16f, (0, 1f), (31, 15f)));
    }

    [Fact]
    public void Q5_1_has_fifth_bits_and_a_minimum()
    {
        var stored = Block(TensorType.Q5_1, (0, 2f), (2, 0.5f));
        (stored[4], stored[7], stored[8], stored[23]) = (0x01, 0x80, 0x01, 0xf0);
        Expect(TensorType.Q5_1, stored, Values(32, 0.5f, (0, 34.5f), (31, 62.5f)));
    }

    [Fact]
    public void Q2_K_has_scales_and_minima_of_16_elements()
    {
        var stored = Block(TensorType.Q2_K, (80, 1f), (82, 0.25f));
        (stored[0], stored[15]) = (0x53, 0xf2);
        (stored[16], stored[79]) = (0x02, 0xc0);
        var expected = Values(256, 0f, (0, 4.75f), (255, 2.25f));
        expected.AsSpan(1, 15).Fill(-1.25f);
        expected.AsSpan(240, 15).Fill(-3.75f);
        Expect(TensorType.Q2_K, stored, expected);
    }

    [Fact]
    public void Q3_K_has_third_bits_apart_and_signed_scales()
    {
        var stored = Block(TensorType.Q3_K, (108, 2f));
        (stored[0], stored[31]) = (0x01, 0x80);
        (stored[32], stored[95]) = (0x03, 0x40);
        (stored[96], stored[104]) = (0x01, 0x02);
        var expected = Values(256, 256f, (0, 6f), (255, -64f));
        expected.AsSpan(1, 15).Fill(-8f);
        Expect(TensorType.Q3_K, stored, expected);
    }

    [Fact]
    public void Q4_K_has_six_bit_scales_and_minima_in_two_places()
    {
        var stored = Block(TensorType.Q4_K, (0, 1f), (2, 0.5f));
        PutScalesOfSubBlocks0And5(stored);
        (stored[16], stored[80]) = (0x07, 0x90);
        var expected = Values(256, 0f);
        expected.AsSpan(0, 32).Fill(-0.5f);
        expected.AsSpan(160, 32).Fill(-21f);
        (expected[0], expected[160]) = (440.5f, 456f);
        Expect(TensorType.Q4_K, stored, expected);
    }

    [Fact]
    public void Q5_K_adds_a_fifth_bit()
    {
        var stored = Block(TensorType.Q5_K, (0, 1f), (2, 0.5f));
        PutScalesOfSubBlocks0And5(stored);
        (stored[16], stored[48], stored[112]) = (0x21, 0x07, 0x90);
        var expected = Values(256, 0f);
        expected.AsSpan(0, 32).Fill(-0.5f);
        expected.AsSpan(160, 32).Fill(-21f);
        (expected[0], expected[160]) = (1448.5f, 1304f);
        Expect(TensorType.Q5_K, stored, expected);
    }

    [Fact]
    public void Q6_K_has_upper_bits_apart_and_signed_scales()
    {
        var stored = Block(TensorType.Q6_K, (208, 0.5f));
        (stored[0], stored[127]) = (0x05, 0xf0);
        (stored[128], stored[191]) = (0x02, 0xc0);
        (stored[192], stored[207]) = (3, 0x80);
        var expected = Values(256, 0f, (0, 7.5f), (255, -1984f));
        expected.AsSpan(1, 15).Fill(-48f);
        expected.AsSpan(240, 15).Fill(2048f);
        Expect(TensorType.Q6_K, stored, expected);
    }

    [Theory]
    [InlineData(TensorType.Q4_0, 17, 32)]
    [InlineData(TensorType.Q4_0, 36, 32)]
    [InlineData(TensorType.F32, 3, 1)]
    [InlineData(TensorType.Q6_K, 210, 128)]
    public void Lengths_that_do_not_belong_together_are_refused(TensorType type, int bytes, int elements) =>
        Assert.Throws<ArgumentException>(() => RowDecoder.Decode(type, new byte[bytes], new float[elements]));

    /// <summary>Sub-block 0: scale 63, minimum 1. Sub-block 5: scale 53, minimum 42, of which the upper two bits stand with those of sub-block 1.</summary>
    static void PutScalesOfSubBlocks0And5(byte[] stored) =>
        (stored[4], stored[8], stored[5], stored[9], stored[13]) = (63, 1, 0xc0, 0x80, 0xa5);

    static byte[] Block(TensorType type, params (int Offset, float Value)[] halves)
    {
        var stored = new byte[type.BlockBytes()];
        foreach (var (offset, value) in halves) PutHalf(stored, offset, value);
        return stored;
    }

    static float[] Values(int count, float most, params (int Index, float Value)[] others)
    {
        var values = new float[count];
        values.AsSpan().Fill(most);
        foreach (var (index, value) in others) values[index] = value;
        return values;
    }

    static void PutHalf(Span<byte> block, int offset, float value) => BinaryPrimitives.WriteHalfLittleEndian(block[offset..], (Half)value);

    static void Expect(TensorType type, byte[] stored, float[] expected)
    {
        var actual = new float[expected.Length];
        RowDecoder.Decode(type, stored, actual);
        Assert.Equal(expected, actual);
    }
}
