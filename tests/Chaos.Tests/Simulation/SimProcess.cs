namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// A process of the simulation, and what its continuations run in. A dead one does nothing any more. A frozen one does everything later: it finds all
/// its timers over when it goes on, as one that was stopped by SIGSTOP does.
/// </summary>
sealed class SimProcess(Simulator simulator, string name, ulong number) : SynchronizationContext
{
    readonly List<(SendOrPostCallback Work, object? State)> _held = [];

    public string Name => name;

    /// <summary>Its processes are called "machine#1", "machine#2"...</summary>
    public string Machine { get; } = name.Split('#')[0];

    public ulong Number => number;

    public Simulator Simulator => simulator;

    public SimClock Clock => field ??= new SimClock(this);

    public bool IsDead { get; private set; }

    public bool IsFrozen { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => simulator.Enqueue(this, d, state);

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("nobody waits for another process");

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Begins something in this process.</summary>
    public void Begin(Func<Task> work) => Post(static async state =>
    {
        var (process, work) = ((SimProcess, Func<Task>))state!;
        try
        {
            await work();
        }
        catch (Exception e)
        {
            process.Simulator.Fail($"{process.Name} threw {e}");
        }
    }, (this, work));

    public void Do(Action work) => Post(static state => ((Action)state!)(), work);

    /// <summary>Completes after a time, unless the process dies before.</summary>
    public async Task PassAsync(TimeSpan time, CancellationToken cancellation = default)
    {
        var passed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var timer = Clock.CreateTimer(_ => passed.TrySetResult(), null, time, Timeout.InfiniteTimeSpan);
        if (cancellation.CanBeCanceled) cancellation.Register(() =>
        {
            timer.Dispose();
            passed.TrySetCanceled(cancellation);
        });
        await passed.Task;
    }

    public void Kill()
    {
        IsDead = true;
        _held.Clear();
        Clock.Stop();
    }

    public void Freeze() => IsFrozen = true;

    public void Thaw()
    {
        IsFrozen = false;
        foreach (var (work, state) in _held) simulator.Enqueue(this, work, state);
        _held.Clear();
    }

    internal bool TryHold(SendOrPostCallback work, object? state)
    {
        if (IsFrozen) _held.Add((work, state));
        return IsFrozen;
    }
}
