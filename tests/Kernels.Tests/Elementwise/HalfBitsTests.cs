using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

public sealed class HalfBitsTests
{
    [Fact]
    public void Every_normal_half_and_zero_comes_back()
    {
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var half = BitConverter.UInt16BitsToHalf((ushort)bits);
            if (!Half.IsNormal(half) && half != Half.Zero) continue;
            Assert.Equal((float)half, HalfBits.ToSingle((ushort)bits));
            Assert.Equal((float)half, HalfBits.ToSingle(HalfBits.FromSingle((float)half)));
        }
    }

    [Theory]
    [InlineData(1e6f, 65504f)]
    [InlineData(-1e6f, -65504f)]
    [InlineData(65519f, 65504f)]
    [InlineData(6e-5f, 0f)]
    [InlineData(-6e-5f, 0f)]
    [InlineData(1.0004f, 1f)]
    [InlineData(1.0006f, 1.0009766f)]
    public void Other_numbers_are_rounded_to_those(float value, float expected) => Assert.Equal(expected, HalfBits.ToSingle(HalfBits.FromSingle(value)));
}
