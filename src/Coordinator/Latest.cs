namespace LlamaCluster.Coordinator;

/// <summary>
/// An immutable value that changes by being swapped for another, and news of it for whoever waits. Safe for concurrent use; a reader
/// works on the value it took, whatever happens meanwhile, and may miss values in between, never the last.
/// </summary>
public sealed class Latest<T>(T initial) where T : class
{
    readonly Lock _writing = new();
    volatile Version _version = new(initial);

    public T Value => _version.Value;

    /// <summary>Swaps the value for what <paramref name="change"/> makes of it; the same value again is no news.</summary>
    /// <returns>The new value.</returns>
    public T Update(Func<T, T> change)
    {
        Version old;
        T value;
        lock (_writing)
        {
            old = _version;
            value = change(old.Value);
            if (ReferenceEquals(value, old.Value)) return value;
            _version = new Version(value);
        }
        old.Superseded.SetResult();
        return value;
    }

    /// <summary>The first value, from the present one on, that meets <paramref name="condition"/>.</summary>
    public async Task<T> WaitAsync(Func<T, bool> condition, CancellationToken cancellation)
    {
        for (var version = _version; ; version = _version)
        {
            if (condition(version.Value)) return version.Value;
            await version.Superseded.Task.WaitAsync(cancellation);
        }
    }

    sealed class Version(T value)
    {
        public T Value => value;

        public TaskCompletionSource Superseded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
