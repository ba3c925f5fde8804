using System.Text.Json;
using LlamaCluster.Cluster;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>A snapshot as all listeners get it.</summary>
/// <param name="Json">UTF-8.</param>
public sealed record ClusterFrame(ReadOnlyMemory<byte> Json);

/// <summary>
/// Makes snapshots while somebody listens: one a second, and one at once when the cluster changes, the same for all listeners. A listener that is
/// slow misses some. While nobody listens nothing happens.
/// </summary>
public sealed partial class ClusterFeed(ClusterObserver observer, TimeProvider time, ILogger<ClusterFeed> logger) : IAsyncDisposable
{
    /// <summary>More would make the coordinator send more than it computes.</summary>
    public const int MostListeners = 64;

    static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>Changes that come closer together, such as the progress of loading, are one.</summary>
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(150);

    /// <summary>A snapshot for somebody who does not listen has rates if another one was made within this time.</summary>
    static readonly TimeSpan LongestInterval = TimeSpan.FromMinutes(1);

    readonly Lock _lock = new();
    readonly Lock _making = new();   // for the observer, and what was counted before
    readonly Latest<ClusterFrame?> _frames = new(null);
    CountedMoment? _before;
    CancellationTokenSource? _running;   // null: nobody listens
    Task _loop = Task.CompletedTask;
    int _listeners;
    bool _closed;

    /// <summary>Begins to listen. To be disposed of.</summary>
    /// <returns>Null if as many listen as may.</returns>
    public Listening? TryListen()
    {
        lock (_lock)
        {
            if (_closed || _listeners >= MostListeners) return null;
            if (_listeners++ == 0)
            {
                _running = new CancellationTokenSource();
                _frames.Update(_ => null);
                _loop = RunAsync(_loop, _running.Token);
            }
            return new Listening(this);
        }
    }

    /// <summary>How the cluster is now. While somebody listens it is what they got last.</summary>
    public ClusterFrame Now() => _frames.Value is { } frame && Listeners > 0 ? frame : Make();

    /// <summary>How many listen.</summary>
    internal int Listeners => Volatile.Read(ref _listeners);

    /// <summary>Snapshots are made.</summary>
    internal bool IsRunning
    {
        get
        {
            lock (_lock) return _running is not null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        CancellationTokenSource? running;
        lock (_lock) (running, _running, _closed) = (_running, null, true);
        End(running);
        await _loop;
    }

    async Task RunAsync(Task before, CancellationToken over)
    {
        await before;
        while (!over.IsCancellationRequested)
        {
            try
            {
                using var enough = CancellationTokenSource.CreateLinkedTokenSource(over);
                var changed = observer.ChangedAsync(enough.Token);   // from before the snapshot on
                var frame = Make();
                _frames.Update(_ => frame);
                await Task.WhenAny(Task.Delay(Period - Pause, time, enough.Token), changed);
                await enough.CancelAsync();
                await Task.Delay(Pause, time, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception bug) when (bug is not OperationCanceledException)
            {
                LogBroke(bug);
                await Task.Delay(Period, time, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    ClusterFrame Make()
    {
        lock (_making)
        {
            if (_before is { } old && time.GetElapsedTime(old.At) > LongestInterval) _before = null;
            var (snapshot, counted) = observer.Observe(_before);
            // Rates over less than the period would jump about.
            if (_before is null || time.GetElapsedTime(_before.At, counted.At) >= Period * 0.9) _before = counted;
            return new ClusterFrame(JsonSerializer.SerializeToUtf8Bytes(snapshot, ClusterJson.Default.ClusterSnapshot));
        }
    }

    void Leave()
    {
        CancellationTokenSource? running = null;
        lock (_lock)
            if (--_listeners == 0) (running, _running) = (_running, null);
        End(running);
    }

    static void End(CancellationTokenSource? running)
    {
        running?.Cancel();
        running?.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A snapshot of the cluster could not be made; the next one follows")]
    partial void LogBroke(Exception exception);

    /// <summary>Somebody's place among the listeners.</summary>
    public sealed class Listening(ClusterFeed feed) : IDisposable
    {
        ClusterFrame? _last;
        bool _left;

        /// <summary>The newest frame, once there is one that was not taken yet.</summary>
        public async Task<ClusterFrame> NextAsync(CancellationToken cancellation)
        {
            var next = await feed._frames.WaitAsync(frame => frame is not null && !ReferenceEquals(frame, _last), cancellation);
            return _last = next!;
        }

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _left, true)) feed.Leave();
        }
    }
}
