using System.Buffers.Binary;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Formats;

/// <summary>Blocks of the types of few bits, written by hand from ggml-common.h, with the values that its formulas give for them.</summary>
public sealed class LowBitDecoderTests
{
    [Fact]
    public void IQ4_NL_holds_element_i_and_i_plus_16_in_a_byte()
    {
        var stored = Block(TensorType.IQ4_NL, 0, 0.5f);
        (stored[2], stored[17]) = (0xf0, 0x8f);
        var values = Decode(TensorType.IQ4_NL, stored);
        Assert.Equal([-63.5f, 56.5f, 56.5f, 0.5f], [values[0], values[16], values[15], values[31]]);
    }

    [Fact]
    public void IQ4_XS_has_six_bit_scales_in_two_places()
    {
        var stored = Block(TensorType.IQ4_XS, 0, 2f);

        // The last scale is 0x2f, 15 above 32: its lower bits in a high nibble, its upper ones the highest of two bytes. The first is 0.
        (stored[3], stored[7], stored[8], stored[135]) = (0x80, 0xf0, 0x08, 0xf0);
        var values = Decode(TensorType.IQ4_XS, stored);
        Assert.Equal([2 * -32 * 1f, 2 * -32 * -127f, 2 * 15 * 113f, 2 * 15 * -127f], [values[0], values[16], values[255], values[239]]);
    }

    [Fact]
    public void MXFP4_scales_by_a_power_of_two()
    {
        var stored = new byte[17];
        (stored[0], stored[1], stored[16]) = (129, 0x97, 0xf2);
        var values = Decode(TensorType.MXFP4, stored);
        Assert.Equal([24f, -2f, 4f, -24f], [values[0], values[16], values[15], values[31]]);
        stored[0] = 0;
        Assert.Equal(6 * MathF.ScaleB(1, -127), Decode(TensorType.MXFP4, stored)[0]);
        stored[0] = 255;
        Assert.True(float.IsNaN(Decode(TensorType.MXFP4, stored)[0]));
    }

    [Fact]
    public void NVFP4_has_small_floats_as_scales_of_16()
    {
        var stored = new byte[36];

        // 1.5, the smallest subnormal 2^-9, what counts as zero, and 448.
        (stored[0], stored[1], stored[2], stored[3]) = (0x3c, 0x01, 0x7f, 0x7e);
        (stored[4], stored[12], stored[20], stored[35]) = (0x57, 0x0a, 0x11, 0xf0);
        var values = Decode(TensorType.NVFP4, stored);
        Assert.Equal([9f, 4.5f, -1 / 512f, 0f, 0f, -6 * 448f], [values[0], values[8], values[16], values[32], values[40], values[63]]);
    }

    [Fact]
    public void Ternary_digits_are_fractions_of_a_byte()
    {
        // 2 2 2 2 2 is 242 of 243, 1 0 0 0 0 is 81 of 243: 256ths, rounded up.
        var stored = Block(TensorType.TQ1_0, 52, 3f);
        (stored[0], stored[47], stored[51]) = (255, 86, 86);
        var values = Decode(TensorType.TQ1_0, stored);
        Assert.Equal([3f, 3f, 3f, 3f, 3f], [values[0], values[32], values[64], values[96], values[128]]);
        Assert.Equal([0f, -3f, -3f, 0f, -3f], [values[175], values[191], values[239], values[243], values[247]]);
    }

    [Fact]
    public void TQ2_0_has_four_runs_of_32_in_32_bytes()
    {
        var stored = Block(TensorType.TQ2_0, 64, 0.5f);
        (stored[0], stored[63]) = (0b10_01_00_10, 0b10_00_00_00);
        var values = Decode(TensorType.TQ2_0, stored);
        Assert.Equal([0.5f, -0.5f, 0f, 0.5f, 0.5f], [values[0], values[32], values[64], values[96], values[255]]);
    }

    [Fact]
    public void Q1_0_and_Q2_0_have_consecutive_elements_in_a_byte()
    {
        var stored = Block(TensorType.Q1_0, 0, 0.5f);
        (stored[2], stored[17]) = (0x02, 0x80);
        var values = Decode(TensorType.Q1_0, stored);
        Assert.Equal([-0.5f, 0.5f, -0.5f, 0.5f], [values[0], values[1], values[126], values[127]]);

        stored = Block(TensorType.Q2_0, 0, 0.5f);
        (stored[2], stored[17]) = (0b11_10_01_00, 0b11_00_00_00);
        values = Decode(TensorType.Q2_0, stored);
        Assert.Equal([-0.5f, 0f, 0.5f, 1f, 1f], [values[0], values[1], values[2], values[3], values[63]]);
    }

    [Fact]
    public void Seven_signs_make_an_eighth()
    {
        // Entry 0 of the book is eight times 8; one sign is set, and so the eighth is; s is 3.
        var stored = Block(TensorType.IQ2_XXS, 0, 8f);
        (stored[6], stored[9]) = (0x01, 0x30);
        var values = Decode(TensorType.IQ2_XXS, stored);
        Assert.Equal([-56f, 56f, 56f, 56f, 56f, 56f, 56f, -56f, 56f], values[..9]);
    }

    [Fact]
    public void IQ1_M_has_its_scale_in_four_places()
    {
        // 0x3c00 is 1. The first code is 0, eight times -1; its shift is down; its scale is 2 x 5 + 1.
        var stored = new byte[56];
        (stored[48], stored[53], stored[55], stored[32]) = (0x05, 0xc0, 0x30, 0x08);
        Assert.Equal([11 * -1.125f, 11 * -0.875f], Decode(TensorType.IQ1_M, stored)[7..9]);
    }

    static byte[] Block(TensorType type, int scaleAt, float scale)
    {
        var stored = new byte[type.BlockBytes()];
        BinaryPrimitives.WriteHalfLittleEndian(stored.AsSpan(scaleAt), (Half)scale);
        return stored;
    }

    static float[] Decode(TensorType type, byte[] stored)
    {
        var values = new float[type.BlockSize()];
        RowDecoder.Decode(type, stored, values);
        return values;
    }
}
