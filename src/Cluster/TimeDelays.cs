namespace LlamaCluster.Cluster;

/// <summary>Waiting for a time to pass, for those who wait for several things at once.</summary>
public static class TimeDelays
{
    /// <summary>
    /// Completes when the time has passed. <see cref="Task.Delay(TimeSpan, TimeProvider)"/> would do so a fraction of a millisecond before, or at once.
    /// Whoever waits goes on in its own synchronisation context, also when it is cancelled.
    /// </summary>
    /// <param name="delay"><see cref="Timeout.InfiniteTimeSpan"/>: only cancellation ends it.</param>
    public static async Task DelayAsync(this TimeProvider time, TimeSpan delay, CancellationToken cancellation) =>
        await Task.Delay(delay == Timeout.InfiniteTimeSpan ? delay : TimeSpan.FromMilliseconds(Math.Ceiling(delay.TotalMilliseconds)), time, cancellation);
}
