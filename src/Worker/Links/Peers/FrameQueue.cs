using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Peers;

/// <summary>Frames that arrived on a stream, for the one thread that takes them. Bounded: a full queue stops the reading of the stream.</summary>
sealed class FrameQueue(int capacity) : IDisposable
{
    readonly SemaphoreSlim _places = new(capacity);
    readonly Queue<RankFrame> _frames = new(capacity);
    bool _closed;

    public async ValueTask AddAsync(RankFrame frame, CancellationToken cancellation)
    {
        await _places.WaitAsync(cancellation);
        lock (_frames)
        {
            _frames.Enqueue(frame);
            Monitor.Pulse(_frames);
        }
    }

    /// <summary>Waits for the next one. Null when the queue is closed and empty.</summary>
    /// <exception cref="TimeoutException">None came in time.</exception>
    public RankFrame? Take(TimeSpan timeout)
    {
        var deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        lock (_frames)
        {
            while (_frames.Count == 0 && !_closed)
            {
                var left = deadline - Environment.TickCount64;
                if (left <= 0) throw new TimeoutException($"nothing came for {timeout.TotalSeconds:0.##} s");
                Monitor.Wait(_frames, (int)Math.Min(left, int.MaxValue));
            }
            if (!_frames.TryDequeue(out var frame)) return null;
            _places.Release();
            return frame;
        }
    }

    public void Close()
    {
        lock (_frames)
        {
            _closed = true;
            Monitor.PulseAll(_frames);
        }
    }

    public void Dispose() => _places.Dispose();
}
