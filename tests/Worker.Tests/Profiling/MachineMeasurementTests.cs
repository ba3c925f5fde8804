using LlamaCluster.Kernels;
using LlamaCluster.Worker.Profiling;

namespace LlamaCluster.Worker.Tests.Profiling;

public sealed class MachineMeasurementTests
{
    [Fact]
    public void Every_number_is_measured_and_becomes_a_message()
    {
        using var threads = new ComputeThreads(1);
        var profile = MachineMeasurement.Run(threads);

        Assert.True(profile.IsSound);
        Assert.True(profile.HostReadBytes >= profile.ReadBytes);
        var message = profile.ToMessage("host");
        Assert.Equal(("host", 7), (message.HostId, message.Paces.Count));
        Assert.All(message.Paces, pace => Assert.InRange(pace.OneRowPerSecond, 1, double.MaxValue));
    }

    [Fact]
    public void Threads_and_versions_have_measurements_of_their_own()
    {
        Assert.Equal(Hardware.MeasurementKey(1, "avx2", "1.0"), Hardware.MeasurementKey(1, "avx2", "1.0"));
        var keys = new[] { Hardware.MeasurementKey(1, "avx2", "1.0"), Hardware.MeasurementKey(2, "avx2", "1.0"), Hardware.MeasurementKey(1, "avx2", "1.1") };
        Assert.Equal(3, keys.Distinct().Count());
        Assert.NotEmpty(Hardware.HostId);
    }
}
