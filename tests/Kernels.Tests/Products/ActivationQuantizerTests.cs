using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Kernels.Tests.Twins;

namespace LlamaCluster.Kernels.Tests.Products;

public sealed unsafe class ActivationQuantizerTests
{
    [Fact]
    public void Gives_the_integers_and_scales_of_the_plain_loops()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var x = RandomRows.Activations(1, 32, seed);
            if (seed % 3 == 0) x[seed % 32] = -7.5f;
            Check(x);
        }
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1e-45f)]
    [InlineData(9.9e-37f)]
    [InlineData(1.1e-36f)]
    [InlineData(3.4e38f)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.NaN)]
    public void Takes_extreme_numbers(float value)
    {
        var x = new float[32];
        x[0] = x[31] = value;
        Check(x);
    }

    [Fact]
    public void Halves_are_rounded_to_the_even_integer()
    {
        var x = new float[32];
        (x[0], x[1], x[2], x[3]) = (127, 2.5f, 3.5f, -0.5f);
        Check(x);
    }

    static void Check(float[] x)
    {
        var (values, scale) = ActivationTwin.Quantize(x);
        using var guarded = new GuardedFloats(x);
        ActivationBlock block;
        ActivationQuantizer.Quantize(guarded.Pointer, &block, count: 1, stride: 1);

        Assert.Equal(scale, block.Scale);
        for (var i = 0; i < 32; i++) Assert.Equal(values[i], block.Values[i]);
        var sum = values.Sum();
        Assert.Equal(-128 * sum, block.Minus128Sum);
        Assert.Equal(values[..16].Sum(), block.HalfSums[0]);
        Assert.Equal(values[16..].Sum(), block.HalfSums[1]);
        Assert.Equal(scale * sum, block.ScaledSum);
        Assert.Equal(-8 * (scale * sum), block.Minus8ScaledSum);
        Assert.Equal(-16 * (scale * sum), block.Minus16ScaledSum);
        for (var pair = 0; pair < 4; pair++)
        {
            var columns = Enumerable.Range(pair / 2 * 16, 16).Where(c => c % 4 / 2 == pair % 2);
            Assert.Equal(-32 * columns.Sum(c => values[c]), block.Minus32Pairs[pair]);
        }
    }
}
