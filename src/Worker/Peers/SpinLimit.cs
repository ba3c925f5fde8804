using System.Diagnostics;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// How long a thread that waits for another process looks before it sleeps. Waking a thread takes tens of microseconds, so looking is worth while when
/// the wait is short. The limit follows the recent waits. A thread that finds that it was interrupted while it looked shares its processor, perhaps
/// with the very thread that it waits for: then it looks for the least time for a while.
/// </summary>
sealed class SpinLimit
{
    /// <summary>Ranks with equal work usually finish within this time of each other.</summary>
    public static readonly TimeSpan Least = TimeSpan.FromMicroseconds(50);

    /// <summary>Beyond this a sleep costs little of the wait.</summary>
    public static readonly TimeSpan Most = TimeSpan.FromMicroseconds(500);

    /// <summary>Two looks that are further apart had another thread between them.</summary>
    public static readonly TimeSpan Interruption = TimeSpan.FromMicroseconds(100);

    /// <summary>Waits after an interruption in which nothing is learned.</summary>
    public const int Calm = 64;

    const int Weight = 8;   // a wait moves the average by an eighth

    TimeSpan _average = TimeSpan.Zero;
    int _calm;

    /// <summary>Four times the recent waits, within the bounds.</summary>
    public TimeSpan Value => TimeSpan.FromTicks(Math.Clamp(4 * _average.Ticks, Least.Ticks, Most.Ticks));

    /// <param name="waited">In all, looking and asleep.</param>
    /// <param name="interrupted">Another thread had the processor while this one looked.</param>
    public void Waited(TimeSpan waited, bool interrupted)
    {
        if (interrupted) (_average, _calm) = (TimeSpan.Zero, Calm);
        else if (_calm > 0) _calm--;
        else _average += ((waited <= Most ? waited : TimeSpan.Zero) - _average) / Weight;
    }
}

/// <summary>One wait: tells the thread whether to look again, and the limit how the wait went.</summary>
struct SpinWaiting(SpinLimit limit)
{
    readonly long _begun = Stopwatch.GetTimestamp();
    long _looked;
    bool _interrupted;
    bool _waited;
    bool _sleeps;

    public readonly TimeSpan Waited => Stopwatch.GetElapsedTime(_begun);

    /// <summary>To be asked after each look that found nothing. False: the thread should sleep.</summary>
    public bool LooksAgain()
    {
        if (_sleeps) return false;
        var now = Stopwatch.GetTimestamp();
        if (_waited && Stopwatch.GetElapsedTime(_looked, now) > SpinLimit.Interruption) _interrupted = true;
        (_looked, _waited) = (now, true);
        var waited = Stopwatch.GetElapsedTime(_begun, now);
        if (_interrupted || waited >= limit.Value)
        {
            _sleeps = true;
            return false;
        }
        // Who has waited for the usual time lets others run that want this processor.
        if (waited < SpinLimit.Least) Thread.SpinWait(8);
        else Thread.Yield();
        return true;
    }

    /// <summary>To be called when the wait is over.</summary>
    public readonly void End()
    {
        if (_waited) limit.Waited(Waited, _interrupted);
    }
}
