using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// More than two ranks share the adding: each adds up one part of every chunk for all (reduce-scatter), and sends the sum to the others
/// (all-gather). All open sums are one row of chunks, of which a few are on their way at a time: their parts go out to be added as soon as
/// the sum is begun, and each that has been added up makes room for the next.
/// <para>
/// A link brings messages in the order in which they were sent, and all ranks send in the same order. So each takes what comes in the order in
/// which it has itself sent the like of it.
/// </para>
/// </summary>
sealed class SharedSum(SumWire wire) : ISumMethod
{
    /// <summary>
    /// Chunks whose parts may be sent beyond as many as were added up. Another rank can be so far ahead of what this one has added up, and behind with
    /// the sums as far again, so a link may hold four times as many messages: its window.
    /// </summary>
    const int Ahead = 2;

    readonly SharedSumState[] _open = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new SharedSumState())];
    readonly Queue<Message> _due = new(2 * Ahead);
    readonly float[] _total = new float[SumChunks.MessageValues];
    readonly float[] _term = new float[SumChunks.MessageValues];
    long _begun;
    long _completed;

    /// <summary>The oldest sum that may have chunks to be scattered.</summary>
    long _scattering;

    /// <summary>Chunks that were scattered and not yet added up.</summary>
    int _ahead;

    public void Begin(ReadOnlySpan<float> own)
    {
        Sum(_begun++).Begin(wire.NextExchange(), wire.RankCount, own);
        ScatterWhatMay();
    }

    public void Complete(Span<float> own)
    {
        var sum = Sum(_completed);
        while (!sum.IsComplete) TakeNext();
        sum.Values.CopyTo(own);
        _completed++;
    }

    SharedSumState Sum(long number) => _open[number % _open.Length];

    void ScatterWhatMay()
    {
        for (; _scattering < _begun; _scattering++)
            for (var sum = Sum(_scattering); !sum.IsScattered; _ahead++)
            {
                if (_ahead == Ahead) return;
                Scatter(sum, sum.Scattered);
                _due.Enqueue(new Message(sum, sum.Scattered++, IsSum: false));
            }
    }

    void TakeNext()
    {
        var (sum, chunk, isSum) = _due.Dequeue();
        if (isSum)
        {
            TakeSums(sum, chunk);
            return;
        }
        AddUpOwnPart(sum, chunk);
        _due.Enqueue(new Message(sum, chunk, IsSum: true));
        _ahead--;
        ScatterWhatMay();
    }

    /// <summary>To every rank this one's term of the part that it adds up.</summary>
    void Scatter(SharedSumState sum, int chunk)
    {
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank && sum.Part(chunk, rank) is { IsEmpty: false } part) wire.Send(rank, part, sum.Exchange, chunk);
    }

    void AddUpOwnPart(SharedSumState sum, int chunk)
    {
        var part = sum.Part(chunk, wire.Rank);
        if (part.IsEmpty) return;
        var total = _total.AsSpan(0, part.Length);
        for (var rank = 0; rank < wire.RankCount; rank++)
        {
            var term = rank == 0 ? total : _term.AsSpan(0, part.Length);
            if (rank == wire.Rank) wire.Round(part, term);
            else wire.Receive(rank, term, sum.Exchange, chunk);
            if (rank > 0) SumWire.Add(total, term);
        }
        wire.SendToAll(total, sum.Exchange, chunk);
        wire.Round(total, part);
    }

    /// <summary>From every other rank the part that it has added up.</summary>
    void TakeSums(SharedSumState sum, int chunk)
    {
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank && sum.Part(chunk, rank) is { IsEmpty: false } part) wire.Receive(rank, part, sum.Exchange, chunk);
        sum.Gathered++;
    }

    /// <summary>What every other rank has sent, too, or is to send.</summary>
    /// <param name="IsSum">Else terms to be added.</param>
    readonly record struct Message(SharedSumState Sum, int Chunk, bool IsSum);
}

/// <summary>A sum that several ranks are at work on: this one's terms, in whose places come the sums. Used again and again.</summary>
sealed class SharedSumState
{
    SumChunks _chunks;
    int _parts;
    int _length;
    float[] _values = [];

    public uint Exchange { get; private set; }

    /// <summary>Chunks whose parts have been sent to those who add them up.</summary>
    public int Scattered { get; set; }

    /// <summary>Chunks whose sums are here.</summary>
    public int Gathered { get; set; }

    public bool IsScattered => Scattered == _chunks.Count;

    public bool IsComplete => Gathered == _chunks.Count;

    public ReadOnlySpan<float> Values => _values.AsSpan(0, _length);

    /// <param name="parts">As many as there are ranks.</param>
    /// <param name="own">Copied: chunks of it go out while the caller is at other things.</param>
    public void Begin(uint exchange, int parts, ReadOnlySpan<float> own)
    {
        if (_values.Length < own.Length) _values = GC.AllocateUninitializedArray<float>(own.Length);
        own.CopyTo(_values);
        (Exchange, _parts, _length, _chunks, Scattered, Gathered) = (exchange, parts, own.Length, new SumChunks(own.Length, parts), 0, 0);
    }

    /// <summary>What a rank adds up of a chunk.</summary>
    public Span<float> Part(int chunk, int rank) => _chunks.Part(chunk, rank).Of(_values.AsSpan());
}
