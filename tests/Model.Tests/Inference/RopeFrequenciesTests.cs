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
        Assert.Equal(
            RopeFrequencies.Of(config).Zip(divisors, (f, d) => f / d),
            RopeFrequencies.Of(config with { RopeScaling = new RopeScaling.Factors(divisors) }));
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

    /// <summary>Worked out by hand: the ramp goes from pair floor(1.62) to pair ceil(5.24); frequencies are 100^(-i/8).</summary>
    [Fact]
    public void Yarn_mixes_from_pair_to_pair()
    {
        double[] kept = [1, 1, 0.85, 0.7, 0.55, 0.4, 0.25, 0.25];
        var frequencies = RopeFrequencies.Of(Llama31 with { RopeTheta = 100, HeadSize = 16, RopeDimensionCount = 16, RopeScaling = TestModels.Yarn });
        Assert.Equal(8, frequencies.Length);
        for (var i = 0; i < 8; i++) Assert.Equal(Math.Pow(100, -i / 8.0) * kept[i], frequencies[i], 1e-7);
    }

    /// <summary>A context of 4096 made sixteen times as long, as of the first models that had YaRN: the ramp goes from pair 20 to pair 46.</summary>
    [Fact]
    public void Yarn_keeps_fast_pairs_and_slows_slow_ones()
    {
        var config = Llama31 with { RopeTheta = 10_000, RopeScaling = null };
        var plain = RopeFrequencies.Of(config);
        var frequencies = RopeFrequencies.Of(config with { RopeScaling = new RopeScaling.Yarn(16, 4096, 32, 1, RopeScaling.Yarn.MagnitudeOf(16)) });
        for (var i = 0; i < 64; i++)
        {
            var slow = Math.Clamp((i - 20) / 26.0, 0, 1);
            Assert.Equal(plain[i] * (1 - (slow * 15 / 16)), frequencies[i], plain[i] * 1e-6);
        }
    }

    [Theory]
    [InlineData(16, 1, 0, 1.2772589f)]   // 1 + 0.1 ln 16
    [InlineData(16, 1, 1, 1f)]
    [InlineData(40, 0.707f, 1, 0.92104236f)]   // (1 + 0.0707 ln 40) / (1 + 0.1 ln 40)
    [InlineData(1, 1, 0, 1f)]
    [InlineData(0.5f, 1, 0, 1f)]
    public void Yarn_lets_queries_and_keys_grow_with_the_logarithm_of_the_factor(float factor, float weight, float made, float expected) =>
        Assert.Equal(expected, RopeScaling.Yarn.MagnitudeOf(factor, weight, made), 1e-6);
}
