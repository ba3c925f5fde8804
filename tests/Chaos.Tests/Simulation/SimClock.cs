namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>The clock of one process: virtual time, and timers that end with the process.</summary>
sealed class SimClock(SimProcess process) : TimeProvider
{
    static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly HashSet<SimTimer> _timers = [];

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => process.Simulator.Now;

    public override DateTimeOffset GetUtcNow() => Start.AddTicks(process.Simulator.Now);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimTimer(process, _timers, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Stop()
    {
        foreach (var timer in _timers.ToList()) timer.Dispose();
    }
}

sealed class SimTimer(SimProcess process, HashSet<SimTimer> armed, TimerCallback callback, object? state) : ITimer
{
    TimeSpan _period = Timeout.InfiniteTimeSpan;
    long _version;
    bool _armed;

    public bool IsArmed(long version) => _armed && version == _version;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        _period = period;
        Disarm();
        if (dueTime != Timeout.InfiniteTimeSpan) Arm(process.Simulator.Now + dueTime.Ticks);
        return true;
    }

    public void Fire()
    {
        Disarm();
        if (_period > TimeSpan.Zero) Arm(process.Simulator.Now + _period.Ticks);
        process.Post(static timer => ((SimTimer)timer!).Call(), this);
    }

    public void Dispose() => Disarm();

    public ValueTask DisposeAsync()
    {
        Disarm();
        return ValueTask.CompletedTask;
    }

    void Call() => callback(state);

    void Arm(long at)
    {
        if (process.IsDead) return;
        _armed = true;
        armed.Add(this);
        process.Simulator.Arm(this, ++_version, at);
    }

    void Disarm()
    {
        if (!_armed) return;
        _armed = false;
        armed.Remove(this);
        process.Simulator.Disarm();
    }
}
