using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Measuring;

public sealed class CoordinatorMetricsTests
{
    [Fact]
    public async Task What_happened_is_what_is_counted()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var sums = new MeterSums(cluster);

        for (var i = 0; i < 2; i++) await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 10));

        Assert.Equal(20, sums["llamacluster.steps"]);
        Assert.Equal(12 + 10, sums["llamacluster.step.rows"]);
        Assert.Equal(20, sums["llamacluster.tokens.generated"]);
        Assert.Equal(2, sums["llamacluster.sequences"]);
        Assert.Equal(6, sums["llamacluster.prefix_cache.queries"]);
        Assert.Equal(2, sums["llamacluster.prefix_cache.hits"]);
        Assert.Equal(0, sums.Level("llamacluster.queue.length"));
        Assert.Equal(
            (1, 2047),
            (sums.Level("llamacluster.kv.blocks.cached"), sums.Level("llamacluster.kv.blocks.free") + sums.Level("llamacluster.kv.blocks.used")));
        Assert.True(sums["llamacluster.stage.compute.duration"] > 0);
        // Two stages' for each step. The last one's answer ends a step; what the other says of it may come a moment later.
        (double, double) Sent() => (sums["llamacluster.stage.activations.sent"], sums["llamacluster.stage.tensor_sync.sent"]);
        var expected = (20.0 * 2 * 64, 20.0 * 2 * 16);
        SpinWait.SpinUntil(() => Sent() == expected, WaitExtensions.Deadline);
        Assert.Equal(expected, Sent());
    }
}
