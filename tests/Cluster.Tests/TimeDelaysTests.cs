using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests;

public sealed class TimeDelaysTests
{
    [Fact]
    public async Task Less_than_a_millisecond_passes_too()
    {
        var time = new ManualTimeProvider();
        var delay = time.DelayAsync(TimeSpan.FromMilliseconds(0.4), CancellationToken.None);
        Assert.False(delay.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await delay.Soon("the time has passed");
    }

    [Fact]
    public async Task Cancellation_ends_what_would_last_for_ever()
    {
        using var over = new CancellationTokenSource();
        var delay = new ManualTimeProvider().DelayAsync(Timeout.InfiniteTimeSpan, over.Token);
        over.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delay.Soon("it is cancelled"));
    }
}
