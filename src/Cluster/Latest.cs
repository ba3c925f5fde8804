namespace LlamaCluster.Cluster;

/// <summary>
/// A value that changes by being swapped for another, and news of it for whoever waits. Safe for concurrent use if the values are immutable.
/// A reader works on the value it took. It may miss values in between, but never the last one.
/// </summary>
public sealed class Latest<T>(T initial)
{
    readonly Lock _writing = new();
    volatile Version _version = new(initial);

    public T Value => _version.Value;

    /// <summary>Swaps the value for what <paramref name="change"/> makes of it. An equal value is no news.</summary>
    /// <returns>The value now.</returns>
    public T Update(Func<T, T> change)
    {
        Version old;
        T value;
        lock (_writing)
        {
            old = _version;
            value = change(old.Value);
            if (EqualityComparer<T>.Default.Equals(value, old.Value)) return old.Value;
            _version = new Version(value);
        }
        old.Supersede();
        return value;
    }

    /// <summary>The first value, from the present one on, that meets <paramref name="condition"/>.</summary>
    public async Task<T> WaitAsync(Func<T, bool> condition, CancellationToken cancellation)
    {
        for (var version = _version; ; version = _version)
        {
            if (condition(version.Value)) return version.Value;
            await version.SupersededAsync(cancellation);
        }
    }

    sealed class Version(T value)
    {
        public T Value => value;

        readonly List<TaskCompletionSource> _waiting = [];
        bool _superseded;

        /// <summary>Whoever waits goes on in its own synchronisation context, with no thread between.</summary>
        public async Task SupersededAsync(CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            var news = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_waiting)
            {
                if (_superseded) return;
                _waiting.Add(news);
            }
            try
            {
                using var cancelling = cancellation.UnsafeRegister(static (news, token) => ((TaskCompletionSource)news!).TrySetCanceled(token), news);
                await news.Task;
            }
            finally
            {
                lock (_waiting) _waiting.Remove(news);
            }
        }

        public void Supersede()
        {
            TaskCompletionSource[] waiting;
            lock (_waiting)
            {
                _superseded = true;
                waiting = [.. _waiting];
            }
            foreach (var news in waiting) news.TrySetResult();
        }
    }
}
