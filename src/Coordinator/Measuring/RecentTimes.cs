namespace LlamaCluster.Coordinator.Measuring;

/// <summary>The last few lengths of time of one kind, for whoever looks. Adding allocates nothing. Safe for concurrent use.</summary>
/// <param name="time">The clock of <see cref="Add"/>.</param>
public sealed class RecentTimes(TimeProvider time)
{
    const int Kept = 256;

    readonly Lock _lock = new();
    readonly (long At, double Seconds)[] _times = new (long, double)[Kept];
    int _count;
    int _next;

    public void Add(TimeSpan length)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            _times[_next] = (now, length.TotalSeconds);
            _next = (_next + 1) % Kept;
            _count = Math.Min(_count + 1, Kept);
        }
    }

    /// <summary>The last one; null if it came before the window.</summary>
    public TimeSpan? Latest(TimeSpan window)
    {
        lock (_lock)
        {
            if (_count == 0) return null;
            var (at, seconds) = _times[(_next + Kept - 1) % Kept];
            return time.GetElapsedTime(at) <= window ? TimeSpan.FromSeconds(seconds) : null;
        }
    }

    /// <summary>Those that came within the window, shortest first, in seconds.</summary>
    public IReadOnlyList<double> Of(TimeSpan window)
    {
        List<double> seconds = [];
        lock (_lock)
            for (var i = 0; i < _count; i++)
                if (time.GetElapsedTime(_times[i].At) <= window) seconds.Add(_times[i].Seconds);
        seconds.Sort();
        return seconds;
    }
}
