using LlamaCluster.Kernels.Measuring;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Measuring;

/// <summary>That something is measured; how much is not tested.</summary>
public sealed class MeasuringTests
{
    [Fact]
    public void Memory_is_read()
    {
        using var threads = new ComputeThreads(2);
        Assert.True(MemoryBandwidth.Measure(threads, TimeSpan.Zero, bytes: 1 << 20) > 1e6);
    }

    [Theory]
    [InlineData(TensorType.Q4_K)]
    [InlineData(TensorType.BF16)]
    public void Products_are_timed(TensorType type)
    {
        using var threads = new ComputeThreads(2);
        using var product = new MultiplyRate(threads, type, rows: 64, columns: 256, batch: 3);

        Assert.Equal(64 * 256 * 3, product.MultiplyAdds);
        Assert.InRange(BestTime.Of(product.Pass, TimeSpan.Zero).TotalSeconds, 1e-9, 5);
    }
}
