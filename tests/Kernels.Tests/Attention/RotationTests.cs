using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Attention;

public sealed unsafe class RotationTests
{
    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(24)]
    [InlineData(64)]
    [InlineData(80)]
    [InlineData(96)]
    [InlineData(128)]
    public void A_rotation_is_its_own_inverse_keeps_products_and_has_the_same_bits_at_every_width(int size)
    {
        float[] x = TestNumbers.Even(size, 1, 2), y = TestNumbers.Even(size, 2, 2);
        float[] rotatedX = Rotated<PlainLanes>(x), rotatedY = Rotated<PlainLanes>(y);
        Assert.Equal(x.Zip(y, (a, b) => (double)a * b).Sum(), rotatedX.Zip(rotatedY, (a, b) => (double)a * b).Sum(), 1e-4);
        Assert.All(Rotated<PlainLanes>(rotatedX).Zip(x), pair => Assert.Equal(pair.Second, pair.First, 1e-5f));
        TestNumbers.AssertSameBits(rotatedX, Rotated<Lanes128>(x), "128 bits");
        TestNumbers.AssertSameBits(rotatedX, Rotated<Lanes256>(x), "256 bits");
        TestNumbers.AssertSameBits(rotatedX, Rotated<Lanes512>(x), "512 bits");
    }

    [Fact]
    public void What_stands_out_in_one_dimension_is_spread_over_all()
    {
        var head = new float[128];
        head[77] = 16;
        Assert.All(Rotated<PlainLanes>(head), x => Assert.Equal(16 / MathF.Sqrt(128), MathF.Abs(x), 1e-6f));
    }

    static float[] Rotated<TLanes>(float[] head)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        var copy = head.ToArray();
        fixed (float* h = copy) Rotation<TLanes>.Apply(h, copy.Length);
        return copy;
    }
}
