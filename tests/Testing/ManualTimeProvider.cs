namespace LlamaCluster.Testing;

/// <summary>
/// A clock that stands still until a test moves it. Timers fire on the thread that calls <see cref="Advance"/>, in the order in
/// which they are due.
/// </summary>
public sealed class ManualTimeProvider : TimeProvider
{
    readonly Lock _lock = new();
    readonly List<ManualTimer> _timers = [];
    readonly List<(Func<bool> Is, TaskCompletionSource Reached)> _waiting = [];
    DateTimeOffset _now = new(2025, 11, 22, 0, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock) return _now;
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Timers that are set to fire.</summary>
    public int SetTimers
    {
        get
        {
            lock (_lock) return _timers.Count;
        }
    }

    /// <summary>Completes when so many timers are set: the code under test has come to where it waits.</summary>
    public Task TimersSetAsync(int count) => ReachedAsync(() => _timers.Count >= count);

    /// <summary>Completes when a timer is set that fires within <paramref name="time"/> from now, whatever else is set.</summary>
    public Task TimerDueWithinAsync(TimeSpan time) => ReachedAsync(() => _timers.Exists(timer => timer.Due <= _now + time));

    /// <summary>
    /// Completes when no timer is set. <see cref="Task.WaitAsync(TimeSpan, TimeProvider)"/> ends its timer only after whoever waits has gone on.
    /// </summary>
    public Task NoTimerSetAsync() => ReachedAsync(() => _timers.Count == 0);

    Task ReachedAsync(Func<bool> isReached)
    {
        lock (_lock)
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((isReached, reached));
            TellWaiting();
            return reached.Task;
        }
    }

    public void Advance(TimeSpan by)
    {
        var target = GetUtcNow() + by;
        while (TakeDue(target) is { } due) due.Fire();
        lock (_lock)
        {
            _now = target;
            TellWaiting();
        }
    }

    /// <summary>Time passes while the process is frozen: no timer fires until it wakes. Then each that is due fires once.</summary>
    public void Freeze(TimeSpan by)
    {
        lock (_lock)
        {
            _now += by;
            foreach (var timer in _timers.Where(timer => timer.Due < _now && timer.Period is not null)) timer.Due = _now;
        }
        Advance(TimeSpan.Zero);
    }

    ManualTimer? TakeDue(DateTimeOffset target)
    {
        lock (_lock)
        {
            if (_timers.MinBy(timer => timer.Due) is not { } next || next.Due > target) return null;
            _now = next.Due > _now ? next.Due : _now;
            if (next.Period is { } period) next.Due += period;
            else _timers.Remove(next);
            TellWaiting();
            return next;
        }
    }

    void TellWaiting()
    {
        foreach (var (isReached, reached) in _waiting)
            if (isReached()) reached.TrySetResult();
        _waiting.RemoveAll(waiting => waiting.Reached.Task.IsCompleted);
    }

    sealed class ManualTimer(ManualTimeProvider clock, Action fire) : ITimer
    {
        public DateTimeOffset Due { get; set; }

        public TimeSpan? Period { get; private set; }

        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    (Due, Period) = (clock._now + dueTime, period > TimeSpan.Zero ? period : null);
                    clock._timers.Add(this);
                }
                clock.TellWaiting();
                return true;
            }
        }

        public void Dispose() => Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
