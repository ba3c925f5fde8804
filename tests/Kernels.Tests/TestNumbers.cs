namespace LlamaCluster.Kernels.Tests;

/// <summary>Random numbers for tests, the same in every run.</summary>
static class TestNumbers
{
    public static float[] Even(int count, int seed, float size = 1)
    {
        var random = new Random(seed);
        var values = new float[count];
        foreach (ref var value in values.AsSpan()) value = ((random.NextSingle() * 2) - 1) * size;
        return values;
    }

    /// <summary>The same bits: tells 0 from -0, and NaN equals itself.</summary>
    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
                Assert.Fail($"{what}: number {i} of {expected.Length} is {actual[i]:R}, not {expected[i]:R}");
    }
}
