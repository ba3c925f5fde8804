namespace LlamaCluster.Coordinator.Membership;

/// <summary>What a member's silence means now.</summary>
public enum Wellness
{
    Well,

    /// <summary>It has been silent for longer than is usual for it.</summary>
    Suspected,

    /// <summary>It has been silent for so long that it does not count any more.</summary>
    Silent,
}

/// <summary>
/// How long a member has sent nothing, and what that means. Heartbeats tell its rhythm; anything else that it sends, such as results of steps,
/// shows that it lives, also where a busy process comes late to heartbeats. One that was suspected is well again after some heartbeats in its usual rhythm.
/// Time in which this process was frozen does not count. Used under its registry's lock, except <see cref="Heard"/>.
/// </summary>
sealed class LifeSigns : IDisposable
{
    /// <summary>So many heartbeats in a row, each in time, end a suspicion.</summary>
    const int BeatsToTrust = 3;

    readonly ClusterDeadlines _deadlines;
    readonly Pulse _pulse;
    readonly TimeProvider _time;
    readonly HeartbeatRhythm _rhythm;
    readonly ITimer _timer;
    long _lastBeat;
    long _lastHeard;
    int _beatsInTime;
    bool _suspected;

    /// <param name="due">Called when the member may have been silent for too long: the time to ask <see cref="Judge"/>.</param>
    public LifeSigns(ClusterDeadlines deadlines, Pulse pulse, TimeProvider time, Action due)
    {
        (_deadlines, _pulse, _time) = (deadlines, pulse, time);
        _rhythm = new HeartbeatRhythm(deadlines.HeartbeatInterval, deadlines.Suspicion);
        _lastBeat = _lastHeard = time.GetTimestamp();
        _timer = time.CreateTimer(_ => due(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Rearm();
    }

    /// <summary>A longer silence is suspicious.</summary>
    public TimeSpan Longest => _rhythm.Longest;

    /// <summary>It has sent something. Safe from any thread, and cheap.</summary>
    public void Heard() => Volatile.Write(ref _lastHeard, _time.GetTimestamp());

    /// <summary>A heartbeat has come.</summary>
    /// <returns>Whether the member is well.</returns>
    public Wellness Beat()
    {
        var now = _time.GetTimestamp();
        var silence = _time.GetElapsedTime(_lastBeat, now);
        var inTime = _pulse.Left(_rhythm.Longest, _lastBeat) >= TimeSpan.Zero;
        // A worker sends one heartbeat more whenever its state changes, which says nothing of its rhythm. Neither does a silence that was a break.
        if (inTime && silence >= _deadlines.HeartbeatInterval / 2) _rhythm.Beat(silence);
        _lastBeat = now;
        Heard();
        _beatsInTime = inTime ? _beatsInTime + 1 : 0;
        if (_beatsInTime >= BeatsToTrust) _suspected = false;
        Rearm();
        return _suspected ? Wellness.Suspected : Wellness.Well;
    }

    /// <summary>It has registered again, on new connections.</summary>
    public void Resume()
    {
        _lastBeat = _time.GetTimestamp();
        Heard();
        Rearm();
    }

    /// <summary>What its silence means now. If it is nothing new, <c>due</c> is called when it may be.</summary>
    public Wellness Judge()
    {
        var heard = Volatile.Read(ref _lastHeard);
        if (_pulse.Left(_deadlines.HeartbeatTimeout, heard) <= TimeSpan.Zero) return Wellness.Silent;
        if (!_suspected && _pulse.Left(_rhythm.Longest, heard) <= TimeSpan.Zero) (_suspected, _beatsInTime) = (true, 0);
        Rearm();
        return _suspected ? Wellness.Suspected : Wellness.Well;
    }

    public void Dispose() => _timer.Dispose();

    void Rearm()
    {
        var heard = Volatile.Read(ref _lastHeard);
        var lost = _pulse.Left(_deadlines.HeartbeatTimeout, heard);
        var suspicious = _suspected ? lost : _pulse.Left(_rhythm.Longest, heard);
        var next = suspicious < lost ? suspicious : lost;
        _timer.Change(next > TimeSpan.Zero ? next : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }
}
