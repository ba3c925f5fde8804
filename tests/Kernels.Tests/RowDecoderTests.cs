using System.Buffers.Binary;
using LlamaCluster.Kernels;

namespace LlamaCluster.Kernels.Tests;

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

    static void PutHalf(Span<byte> block, int offset, float value) => BinaryPrimitives.WriteHalfLittleEndian(block[offset..], (Half)value);

    static void Expect(TensorType type, byte[] stored, float[] expected)
    {
        var actual = new float[expected.Length];
        RowDecoder.Decode(type, stored, actual);
        Assert.Equal(expected, actual);
    }
}
