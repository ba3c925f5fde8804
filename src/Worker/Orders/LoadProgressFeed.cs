using System.Threading.Channels;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Orders;

/// <summary>
/// Progress of a shard that is being loaded, from the thread that loads to the stream that reports. There is a message when a phase begins, and
/// then one every 100 ms or every 64 MiB, whichever comes first. A slow reader misses old messages, but never the last one.
/// </summary>
sealed class LoadProgressFeed(ulong viewVersion, string modelDigest, TimeProvider time) : IProgress<long>
{
    const long NewsBytes = 64 << 20;

    static readonly TimeSpan NewsInterval = TimeSpan.FromMilliseconds(100);

    readonly Channel<Wire.LoadProgress> _news = Channel.CreateBounded<Wire.LoadProgress>(
        new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    readonly Lock _lock = new();
    Wire.LoadProgress _last = new() { ViewVersion = viewVersion, ModelDigest = modelDigest };
    long _lastTime;

    public IAsyncEnumerable<Wire.LoadProgress> ReadAllAsync(CancellationToken cancellation) => _news.Reader.ReadAllAsync(cancellation);

    /// <param name="source">"local PATH", "cache PATH", "coordinator", "peers" or "hub HOST"; "" while it is not known.</param>
    public void Begin(Phase phase, long bytesTotal, string source = "") => Tell(news =>
    {
        (news.Phase, news.BytesDone, news.BytesTotal) = (phase, 0, (ulong)bytesTotal);
        if (source.Length > 0) news.Source = source;
    });

    /// <summary>Reports how many bytes of the phase are done so far.</summary>
    public void Report(long value)
    {
        lock (_lock)
            if (value - (long)_last.BytesDone < NewsBytes && time.GetElapsedTime(_lastTime) < NewsInterval) return;
        Tell(news => news.BytesDone = (ulong)value);
    }

    /// <param name="kept">KV of earlier views that is there; null: none.</param>
    /// <param name="fetched">How much of it came from others; null: nobody was asked.</param>
    public void Ready(
        string source, int kvBlockCount, long kvBlockBytes, long residentBytes, Wire.KeptKv? kept = null, Wire.KvFetched? fetched = null) => Tell(news =>
    {
        (news.Kept, news.Fetched) = (kept, fetched);
        (news.Phase, news.Source, news.BytesDone) = (Phase.Ready, source, news.BytesTotal);
        (news.KvBlockCount, news.KvBlockBytes, news.ResidentBytes) = ((uint)kvBlockCount, (ulong)kvBlockBytes, (ulong)residentBytes);
    });

    public void Complete() => _news.Writer.TryComplete();

    void Tell(Action<Wire.LoadProgress> change)
    {
        lock (_lock)
        {
            var news = _last.Clone();
            change(news);
            (_last, _lastTime) = (news, time.GetTimestamp());
            _news.Writer.TryWrite(news);
        }
    }
}
