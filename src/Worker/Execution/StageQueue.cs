using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Work for one thread, in order and bounded. Producers are asynchronous (a full queue stops the reading of a stream); the consumer is a
/// thread that blocks, and is woken by the producer directly, without a detour over the thread pool.
/// </summary>
sealed class StageQueue(int capacity)
{
    readonly SemaphoreSlim _places = new(capacity);
    readonly Queue<StageWork> _items = new(capacity);
    bool _closed;

    /// <returns>False if the queue is closed, and nothing was added.</returns>
    public async ValueTask<bool> AddAsync(StageWork work, CancellationToken cancellation)
    {
        await _places.WaitAsync(cancellation);
        lock (_items)
        {
            if (!_closed)
            {
                _items.Enqueue(work);
                Monitor.Pulse(_items);
                return true;
            }
        }
        _places.Release();
        return false;
    }

    /// <summary>Waits for work. False once the queue is closed and empty.</summary>
    public bool TryTake([NotNullWhen(true)] out StageWork? work)
    {
        lock (_items)
        {
            while (_items.Count == 0 && !_closed) Monitor.Wait(_items);
            if (!_items.TryDequeue(out work)) return false;
        }
        _places.Release();
        return true;
    }

    public void Close()
    {
        lock (_items)
        {
            _closed = true;
            Monitor.PulseAll(_items);
        }
    }
}
