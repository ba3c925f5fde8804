using System.Runtime.CompilerServices;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// Runs processes on one thread, in virtual time, in an order that a seed chooses: whatever could happen next in a real cluster, happens next in
/// some schedule. The same seed gives the same schedule. Time passes only while nothing else can happen, so that an hour takes no time.
/// <para>
/// It can only order what passes through it. So everything that runs in it must go on where it was: no thread pool, no other clock. A continuation
/// that comes from elsewhere ends the schedule, with the place it came from.
/// </para>
/// </summary>
sealed class Simulator(ulong seed)
{
    /// <summary>Far more than any schedule has: something goes round in a circle.</summary>
    const long MostEvents = 2_000_000;

    readonly int _thread = Environment.CurrentManagedThreadId;
    readonly List<(SimProcess Process, SendOrPostCallback Work, object? State)> _ready = [];
    readonly PriorityQueue<(SimTimer Timer, long Version), (long At, long Number)> _due = new();
    readonly List<string> _problems = [];
    long _numbered;

    public ulong Seed => seed;

    public SeededRandom Random { get; } = new(seed);

    /// <summary>Since the schedule began, in units of 100 ns.</summary>
    public long Now { get; private set; }

    /// <summary>A fingerprint of everything that has happened, in order.</summary>
    public ulong Trace { get; private set; }

    /// <summary>Pieces of work that have been done.</summary>
    public long Events { get; private set; }

    /// <summary>Timers that will fire.</summary>
    public int Timers { get; private set; }

    /// <summary>What was found to be wrong.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Gets a line for everything worth reading. Null, as a rule: nobody reads.</summary>
    public Action<string>? Log { get; init; }

    public void Note(DefaultInterpolatedStringHandler line) => Log?.Invoke($"{Now / 1e7,10:0.0000} {line.ToStringAndClear()}");

    public bool IsLogged => Log is not null;

    public void Fail(string problem)
    {
        if (_problems.Count < 5) _problems.Add($"at {Now / 1e7:0.0000} s: {problem}");
        Log?.Invoke($"{Now / 1e7,10:0.0000} WRONG: {problem}");
    }

    /// <summary>Goes on until the condition holds, something is wrong, nothing can happen any more, or the time has passed.</summary>
    /// <returns>Whether the condition holds.</returns>
    public bool Run(Func<bool> until, TimeSpan atMost)
    {
        var end = Now + atMost.Ticks;
        while (_problems.Count == 0)
        {
            if (until()) return true;
            if (Events > MostEvents) Fail("it never comes to rest");
            else if (_ready.Count > 0) RunOne();
            else if (!TryPassTime(end)) return false;
        }
        return false;
    }

    internal void Enqueue(SimProcess process, SendOrPostCallback work, object? state)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            // Only the place where it happened helps to find out what left the simulation.
            lock (_problems) _problems.Add($"{process.Name}: work came from another thread: {Environment.StackTrace}");
            return;
        }
        _ready.Add((process, work, state));
    }

    internal void Arm(SimTimer timer, long version, long at)
    {
        _due.Enqueue((timer, version), (Math.Max(at, Now), _numbered++));
        Timers++;
    }

    internal void Disarm() => Timers--;

    void RunOne()
    {
        var index = Random.Below(_ready.Count);
        var (process, work, state) = _ready[index];
        _ready[index] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        if (process.IsDead) return;
        if (process.TryHold(work, state)) return;
        Events++;
        Trace = (Trace ^ (ulong)Now ^ (process.Number << 48)) * 0x9E3779B97F4A7C15 + (ulong)index;
        var outer = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(process);
            work(state);
        }
        catch (Exception e)
        {
            Fail($"{process.Name} threw {e}");
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    bool TryPassTime(long end)
    {
        while (_due.TryPeek(out var next, out var when))
        {
            if (!next.Timer.IsArmed(next.Version))
            {
                _due.Dequeue();
                continue;
            }
            if (when.At > end) break;
            _due.Dequeue();
            Now = when.At;
            next.Timer.Fire();
            return true;
        }
        Now = end;
        return false;
    }
}
