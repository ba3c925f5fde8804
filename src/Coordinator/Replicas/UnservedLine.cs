using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The line in which sequences wait while there is no view: after one is over, and before the next. It is a scheduler that schedules nothing, so
/// sequences come, leave and are bounded as in any other. It is there for a limited time, counted from the end of the view until a sequence has
/// got a token again, however many views fail meanwhile.
/// </summary>
/// <param name="limit">How long sequences may wait.</param>
/// <param name="wake">Called when the time may be over.</param>
sealed class UnservedLine(TimeSpan limit, TimeProvider time, Action wake) : IAsyncDisposable
{
    readonly ITimer _patience = time.CreateTimer(_ => wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    StepScheduler? _scheduler;
    long? _since;

    public TimeSpan Limit => limit;

    /// <summary>Null before the first view, while there is a view, and after the time was over.</summary>
    public StepScheduler? Scheduler => _scheduler;

    /// <summary>Why the last view ended; one line.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>A view is over.</summary>
    public void Open(StepScheduler scheduler, string reason)
    {
        (_scheduler, Reason) = (scheduler, reason);
        _since ??= time.GetTimestamp();
    }

    /// <summary>Another view takes all sequences over, or there are none any more.</summary>
    /// <param name="isServed">None is left that waits for a token.</param>
    public void Close(bool isServed)
    {
        _scheduler = null;
        if (isServed) _since = null;
        _patience.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether sequences have waited too long. If not, <c>wake</c> is called when they may have.</summary>
    public bool IsOverdue()
    {
        if (_scheduler is null || _since is not { } since) return false;
        var left = limit - time.GetElapsedTime(since);
        if (left <= TimeSpan.Zero) return true;
        _patience.Change(left, Timeout.InfiniteTimeSpan);
        return false;
    }

    /// <summary>A sequence has got a token.</summary>
    /// <returns>How long all have waited for one; null if they have not.</returns>
    public TimeSpan? Served(long now)
    {
        if (_since is not { } since) return null;
        _since = null;
        return time.GetElapsedTime(since, now);
    }

    public ValueTask DisposeAsync() => _patience.DisposeAsync();
}
