using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>How much a replica has to do.</summary>
/// <param name="Sequences">That have not ended.</param>
/// <param name="Tokens">Their known tokens, which another view would have to compute again.</param>
public sealed record ReplicaLoad(int Sequences, long Tokens);

/// <summary>
/// The sequences that have not ended, whichever view runs them: which of them wait for their first turn, and which wait for their readers. Used by
/// the loop only.
/// </summary>
/// <param name="maxWait">For the first turn.</param>
/// <param name="wake">Called when one may have waited too long.</param>
sealed class OpenStreams(TimeSpan maxWait, TimeProvider time, Action wake) : IAsyncDisposable
{
    readonly ITimer _overdue = time.CreateTimer(_ => wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    readonly Dictionary<ulong, SequenceStream> _open = [];
    readonly Dictionary<ulong, SequenceStream> _behind = [];   // paused until their readers catch up
    readonly LinkedList<SequenceStream> _arrivals = [];   // by arrival; without those before the first that has not begun

    public int Count => _open.Count;

    public IReadOnlyCollection<SequenceStream> All => _open.Values;

    public ReplicaLoad Load => new(Count, _open.Values.Sum(stream => (long)stream.Sequence!.Tokens.Count));

    public SequenceStream this[ulong id] => _open[id];

    public bool Has(SequenceStream stream) => stream.Sequence is { } sequence && _open.GetValueOrDefault(sequence.Id) == stream;

    public void Add(SequenceStream stream)
    {
        _open.Add(stream.Sequence!.Id, stream);
        stream.Arrival = _arrivals.AddLast(stream);
    }

    /// <returns>Whether the sequence was open.</returns>
    public bool TryClose(SequenceStream stream)
    {
        if (!Has(stream)) return false;
        stream.AdapterUse?.Dispose();
        _behind.Remove(stream.Sequence!.Id);
        Forget(stream);
        return _open.Remove(stream.Sequence.Id);
    }

    /// <summary>The next one that has waited too long for its first turn. If there is none now, <c>wake</c> is called when there may be.</summary>
    public SequenceStream? FirstOverdue()
    {
        while (_arrivals.First?.Value is { } first)
        {
            if (first.Sequence!.HasBegun)
            {
                Forget(first);
                continue;
            }
            var left = maxWait - time.GetElapsedTime(first.Submitted);
            if (left <= TimeSpan.Zero) return first;
            _overdue.Change(left, Timeout.InfiniteTimeSpan);   // again each time, since a timer may fire a little early
            return null;
        }
        return null;
    }

    public bool AnyBehind => _behind.Count > 0;

    public bool IsBehind(SequenceStream stream) => AnyBehind && _behind.ContainsKey(stream.Sequence!.Id);

    /// <summary>Its reader is far behind.</summary>
    /// <returns>False if that was known.</returns>
    public bool TryFallBehind(SequenceStream stream) => _behind.TryAdd(stream.Sequence!.Id, stream);

    /// <summary>Those whose readers have come near enough, which are not behind from now on.</summary>
    public IEnumerable<SequenceStream> TakeCaughtUp(int unread)
    {
        foreach (var (id, stream) in _behind)
        {
            if (stream.Unread > unread) continue;
            _behind.Remove(id);
            yield return stream;
        }
    }

    public ValueTask DisposeAsync() => _overdue.DisposeAsync();

    void Forget(SequenceStream stream)
    {
        if (stream.Arrival is { } arrival) _arrivals.Remove(arrival);
        stream.Arrival = null;
    }
}
