namespace LlamaCluster.Coordinator;

/// <summary>
/// Tells how long this process has been running without a break. A process that was frozen (SIGSTOP, a paused virtual machine) finds all its
/// deadlines over when it wakes, although nobody else was late: what others sent meanwhile is only read now. So whoever judges another by its
/// silence asks here for how long silence could have been noticed.
/// </summary>
public sealed class Pulse : IDisposable
{
    /// <summary>How often the process feels its own pulse.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(0.5);

    /// <summary>A gap this long is a break. A busy machine makes shorter ones.</summary>
    public static readonly TimeSpan LongestGap = TimeSpan.FromSeconds(2);

    readonly Lock _lock = new();
    readonly TimeProvider _time;
    readonly ITimer _timer;
    long _last;
    long _awakeSince;

    public Pulse(TimeProvider time)
    {
        _time = time;
        _last = time.GetTimestamp();
        _awakeSince = _last - time.TimestampFrequency * (long)TimeSpan.FromDays(1).TotalSeconds;   // the start is no break
        _timer = time.CreateTimer(_ => Beat(), null, Period, Period);
    }

    /// <summary>The time since the last break ended.</summary>
    public TimeSpan AwakeFor
    {
        get
        {
            lock (_lock)
            {
                Beat();
                return _time.GetElapsedTime(_awakeSince);
            }
        }
    }

    /// <summary>What is left of a deadline, if only the time counts in which this process was awake.</summary>
    /// <param name="since">When the wait began, as a timestamp.</param>
    public TimeSpan Left(TimeSpan deadline, long since)
    {
        var (waited, awake) = (_time.GetElapsedTime(since), AwakeFor);
        return deadline - (awake < waited ? awake : waited);
    }

    public void Dispose() => _timer.Dispose();

    void Beat()
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            if (_time.GetElapsedTime(_last, now) > LongestGap) _awakeSince = now;
            _last = now;
        }
    }
}
