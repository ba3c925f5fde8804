using System.Collections.Concurrent;

namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>
/// Time that passes only when there is nothing else to do: from one due moment to the next. Everything that awaits within <see cref="Run"/> goes on in one
/// thread, in an order that does not depend on the machine.
/// </summary>
sealed class VirtualTime : TimeProvider
{
    static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly ConcurrentQueue<(SendOrPostCallback Callback, object? State)> _ready = new();
    readonly PriorityQueue<Action, (long At, long Order)> _due = new();
    long _now;
    long _order;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public TimeSpan Now => new(_now);

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow() => Start.AddTicks(_now);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (period != Timeout.InfiniteTimeSpan) throw new NotSupportedException("virtual time has no periodic timers");
        var timer = new VirtualTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Calls <paramref name="action"/> when it is so late, or at once if it is later already.</summary>
    public void At(TimeSpan moment, Action action) => _due.Enqueue(action, (moment.Ticks, _order++));

    /// <returns>Completes when it is so late.</returns>
    public Task WaitUntilAsync(TimeSpan moment)
    {
        var reached = new TaskCompletionSource();
        At(moment, reached.SetResult);
        return reached.Task;
    }

    /// <summary>Runs <paramref name="work"/> and lets time pass until it has completed.</summary>
    /// <exception cref="InvalidOperationException">It has not, and nothing is left that could happen.</exception>
    public T Run<T>(Func<Task<T>> work)
    {
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(new Context(_ready));
        try
        {
            var task = work();
            while (!task.IsCompleted)
            {
                if (_ready.TryDequeue(out var next)) next.Callback(next.State);
                else if (_due.TryDequeue(out var action, out var due))
                {
                    _now = Math.Max(_now, due.At);
                    action();
                }
                else throw new InvalidOperationException($"at {Now} of virtual time nothing is left to happen, but the run has not ended");
            }
            return task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    sealed class Context(ConcurrentQueue<(SendOrPostCallback Callback, object? State)> ready) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) => ready.Enqueue((d, state));

        public override SynchronizationContext CreateCopy() => this;
    }

    /// <summary>Stands in the queue once, however often it is put off.</summary>
    sealed class VirtualTimer(VirtualTime time, Action callback) : ITimer
    {
        TimeSpan? _dueAt;
        TimeSpan? _queuedAt;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _dueAt = dueTime == Timeout.InfiniteTimeSpan ? null : time.Now + dueTime;
            if (_dueAt is { } due && !(_queuedAt <= due)) Queue(due);
            return true;
        }

        public void Dispose() => _dueAt = null;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        void Queue(TimeSpan at)
        {
            _queuedAt = at;
            time.At(at, () => Reach(at));
        }

        void Reach(TimeSpan queued)
        {
            if (_queuedAt != queued) return;   // it was put forward
            _queuedAt = null;
            if (_dueAt is not { } due) return;
            if (due > time.Now)
            {
                Queue(due);
                return;
            }
            _dueAt = null;
            callback();
        }
    }
}
