using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

public sealed class RopeFrequenciesTests
{
    static readonly LlamaConfig Llama31 = SyntheticModel.Small.Config with
    {
        RopeTheta = 500_000,
        HeadSize = 128,
        RopeDimensionCount = 128,
        RopeScaling = new RopeScaling.Llama3(8, 1, 4, 8192),
    };

    [Fact]
    public void Unscaled_frequencies_fall_from_one_by_powers_of_theta()
    {
        var frequencies = RopeFrequencies.Of(Llama31 with { RopeScaling = null });
        Assert.Equal(64, frequencies.Length);
        for (var i = 0; i < 64; i++) Assert.Equal(Math.Pow(500_000, -i / 64.0), frequencies[i], Math.Pow(500_000, -i / 64.0) * 3e-7);
    }

    [Fact]
    public void Linear_scaling_divides_all()
    {
        var config = Llama31 with { RopeScaling = null };
        var plain = RopeFrequencies.Of(config);
        Assert.Equal(plain.Select(f => f / 2.5f), RopeFrequencies.Of(config with { RopeScaling = new RopeScaling.Linear(2.5f) }));
    }

    [Fact]
    public void Stored_divisors_divide_each()
    {
        var config = Llama31 with { RopeScaling = null };
        float[] divisors = [.. Enumerable.Range(1, 64).Select(i => 1 + (i / 7f))];
        Assert.Equal(RopeFrequencies.Of(config).Zip(divisors, (f, d) => f / d), RopeFrequencies.Of(config with { RopeScaling = new RopeScaling.Factors(divisors) }));
    }

    /// <summary>Some of the numbers in rope_freqs.weight of published conversions of Llama 3.1, which their converter computed.</summary>
    [Theory]
    [InlineData(0, 1f)]
    [InlineData(28, 1f)]
    [InlineData(35, 8f)]
    [InlineData(63, 8f)]
    public void Llama_3_keeps_fast_pairs_and_slows_slow_ones(int pair, float expected) =>
        Assert.Equal(expected, RopeFrequencies.Llama3Divisors(Llama31, (RopeScaling.Llama3)Llama31.RopeScaling!)[pair]);

    [Fact]
    public void Llama_3_mixes_in_between()
    {
        var scaling = (RopeScaling.Llama3)Llama31.RopeScaling!;
        var divisors = RopeFrequencies.Llama3Divisors(Llama31, scaling);
        for (var i = 0; i < 64; i++)
        {
            var frequency = Math.Pow(500_000, -i / 64.0);
            var smooth = Math.Clamp(((8192 * frequency / (2 * Math.PI)) - 1) / 3, 0, 1);
            Assert.Equal(1 / (((1 - smooth) / 8) + smooth), divisors[i], 1e-4);
        }
        Assert.Contains(divisors, d => d is > 1 and < 8);
    }
}
