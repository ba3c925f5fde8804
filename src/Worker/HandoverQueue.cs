using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Worker;

/// <summary>
/// A bounded queue from asynchronous producers to one thread. A full queue makes the producer wait, which stops the reading of its stream.
/// The thread blocks; the producer wakes it directly, without a detour over the thread pool.
/// </summary>
sealed class HandoverQueue<T>(int capacity) where T : class
{
    readonly SemaphoreSlim _places = new(capacity);
    readonly Queue<T> _items = new(capacity);
    bool _closed;

    /// <returns>False if the queue is closed. Nothing was added then.</returns>
    public async ValueTask<bool> AddAsync(T item, CancellationToken cancellation)
    {
        await _places.WaitAsync(cancellation);
        lock (_items)
        {
            if (!_closed)
            {
                _items.Enqueue(item);
                Monitor.Pulse(_items);
                return true;
            }
        }
        _places.Release();
        return false;
    }

    public bool HasItems
    {
        get
        {
            lock (_items) return _items.Count > 0;
        }
    }

    /// <summary>Waits for an item. False once the queue is closed and empty.</summary>
    public bool TryTake([NotNullWhen(true)] out T? item) => TryTake(Timeout.InfiniteTimeSpan, out item);

    /// <inheritdoc cref="TryTake(out T)"/>
    /// <exception cref="TimeoutException">None came in time.</exception>
    public bool TryTake(TimeSpan timeout, [NotNullWhen(true)] out T? item)
    {
        var deadline = timeout == Timeout.InfiniteTimeSpan ? long.MaxValue : Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        lock (_items)
        {
            while (_items.Count == 0 && !_closed)
            {
                var left = deadline - Environment.TickCount64;
                if (left <= 0) throw new TimeoutException($"nothing came for {timeout.TotalSeconds:0.##} s");
                Monitor.Wait(_items, (int)Math.Min(left, int.MaxValue));
            }
            if (!_items.TryDequeue(out item)) return false;
        }
        _places.Release();
        return true;
    }

    /// <summary>Nothing is taken in any more. Items that are in can still be taken.</summary>
    public void Close()
    {
        lock (_items)
        {
            _closed = true;
            Monitor.PulseAll(_items);
        }
    }
}
