namespace LlamaCluster.Cluster.Rpc;

/// <summary>Whether this process can take part in generation now, and news of it for whoever watches. Safe for concurrent use.</summary>
public sealed class Readiness
{
    readonly Lock _lock = new();
    State _state = new(Ready: false, Closed: false);

    public bool IsReady => Current.Ready;

    State Current
    {
        get
        {
            lock (_lock) return _state;
        }
    }

    public void Set(bool ready) => Change(state => state with { Ready = ready });

    /// <summary>The process is stopping: not ready any more, and watchers are let go.</summary>
    public void Close() => Change(_ => new State(Ready: false, Closed: true));

    /// <summary>The value now, then each value it takes, until closed. A slow reader misses values in between, never the last.</summary>
    public async IAsyncEnumerable<bool> WatchAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        for (var state = Current; ; state = Current)
        {
            yield return state.Ready;
            if (state.Closed) yield break;
            await state.Superseded.Task.WaitAsync(cancellation);
        }
    }

    void Change(Func<State, State> change)
    {
        State old;
        lock (_lock)
        {
            old = _state;
            var changed = change(old);
            if (old.Closed || (changed.Ready, changed.Closed) == (old.Ready, old.Closed)) return;
            _state = new State(changed.Ready, changed.Closed);
        }
        old.Superseded.SetResult();
    }

    sealed record State(bool Ready, bool Closed)
    {
        public TaskCompletionSource Superseded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
