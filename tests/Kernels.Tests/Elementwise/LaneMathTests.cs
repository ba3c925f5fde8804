using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

public sealed unsafe class LaneMathTests
{
    [Fact]
    public void Exp_is_within_two_units_in_the_last_place()
    {
        var worst = 0.0;
        for (var x = -87.25f; x < 88.7f; x += 0.00037f)
        {
            var exact = Math.Exp(x);
            var unit = MathF.BitIncrement((float)exact) - (double)(float)exact;
            worst = Math.Max(worst, Math.Abs(Exp(x) - exact) / unit);
        }
        Assert.InRange(worst, 0, 2);
    }

    [Theory]
    [InlineData(0f, 1f)]
    [InlineData(-87.31f, 0f)]
    [InlineData(-1e30f, 0f)]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(88.73f, float.PositiveInfinity)]
    [InlineData(1e30f, float.PositiveInfinity)]
    [InlineData(float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(float.NaN, float.NaN)]
    public void Exp_beyond_its_range(float x, float expected) => Assert.Equal(expected, Exp(x));

    /// <summary>Weights of attention have the unit of halves as a factor.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(112)]
    public void ExpTimes_a_power_of_two_has_the_same_bits_but_for_the_exponent(int exponent)
    {
        var lanes = stackalloc float[LaneMath<Lanes512>.Count];
        for (var x = -87.4f; x <= 0; x += 0.0037f)
        {
            Lanes512.Store(LaneMath<Lanes512>.ExpTimes(Lanes512.Broadcast(x), LaneMath<Lanes512>.Rounder(exponent)), lanes);
            Assert.Equal(MathF.ScaleB(Exp(x), exponent), lanes[0]);
        }
    }

    static float Exp(float x)
    {
        var lanes = stackalloc float[LaneMath<Lanes512>.Count];
        Lanes512.Store(LaneMath<Lanes512>.Exp(Lanes512.Broadcast(x)), lanes);
        return lanes[0];
    }
}
