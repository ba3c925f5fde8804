using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Adds up the terms of more than two ranks. The ranks share the work, chunk by chunk:
/// <list type="number">
/// <item>A chunk is cut into one part per rank. Every rank sends its term of each part to the rank that adds that part up (reduce-scatter).</item>
/// <item>Every rank adds up its own part, in rank order, and sends the sum to all others (all-gather).</item>
/// </list>
/// <para>
/// Up to two chunks are in step 1 at a time, over all open sums: the terms of the next chunk travel while this one is added up.
/// </para>
/// <para>
/// All ranks send the same messages in the same order, and a link keeps the order. So a rank may receive messages in the order in which it
/// has sent its own: <see cref="_due"/> is that order.
/// </para>
/// </summary>
sealed class SharedSum(SumWire wire) : ISumMethod
{
    /// <summary>
    /// The most chunks that are scattered and not yet added up. Another rank can be that many chunks ahead of this one with its terms, and that
    /// many behind with its sums, so a link may hold four times as many messages. That must fit in <see cref="Peers.IPeerLink.Window"/>.
    /// </summary>
    const int MaxScattered = 2;

    readonly SharedSumState[] _open = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new SharedSumState())];
    readonly Queue<Due> _due = new(2 * MaxScattered);
    readonly float[] _total = new float[SumChunks.MessageValues];
    readonly float[] _term = new float[SumChunks.MessageValues];

    /// <summary>Sums are numbered from 0: this many were begun, and this many completed.</summary>
    long _begun;

    long _completed;

    /// <summary>The oldest sum that has chunks to scatter, or <see cref="_begun"/>.</summary>
    long _scattering;

    /// <summary>Chunks that are scattered and not yet added up.</summary>
    int _scattered;

    public void Begin(ReadOnlySpan<float> own)
    {
        Sum(_begun++).Begin(wire.NextExchange(), wire.RankCount, own);
        ScatterUpToTheLimit();
    }

    public void Complete(Span<float> own)
    {
        var sum = Sum(_completed);
        while (!sum.IsComplete) TakeNextDue();
        sum.Values.CopyTo(own);
        _completed++;
    }

    SharedSumState Sum(long number) => _open[number % _open.Length];

    void ScatterUpToTheLimit()
    {
        for (; _scattering < _begun; _scattering++)
            for (var sum = Sum(_scattering); !sum.IsScattered; _scattered++)
            {
                if (_scattered == MaxScattered) return;
                Scatter(sum, sum.Scattered);
                _due.Enqueue(new Due(sum, sum.Scattered++, IsSums: false));
            }
    }

    void TakeNextDue()
    {
        var (sum, chunk, isSums) = _due.Dequeue();
        if (isSums)
        {
            GatherSums(sum, chunk);
            return;
        }
        AddUpOwnPart(sum, chunk);
        _due.Enqueue(new Due(sum, chunk, IsSums: true));
        _scattered--;
        ScatterUpToTheLimit();
    }

    /// <summary>Sends every other rank this rank's term of the part that it adds up.</summary>
    void Scatter(SharedSumState sum, int chunk)
    {
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank && sum.Part(chunk, rank) is { IsEmpty: false } part) wire.Send(rank, part, sum.Exchange, chunk);
    }

    /// <summary>Receives all other ranks' terms of this rank's part, adds them up, and sends the sum to everybody.</summary>
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

    /// <summary>Receives from every other rank the sum of the part that it has added up.</summary>
    void GatherSums(SharedSumState sum, int chunk)
    {
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank && sum.Part(chunk, rank) is { IsEmpty: false } part) wire.Receive(rank, part, sum.Exchange, chunk);
        sum.Gathered++;
    }

    /// <summary>Messages to receive: one from each other rank that has a part of the chunk.</summary>
    /// <param name="IsSums">They are sums of parts. Else they are terms of this rank's part.</param>
    readonly record struct Due(SharedSumState Sum, int Chunk, bool IsSums);
}

/// <summary>One open sum: this rank's terms at first, which are replaced by the sums as they come. Used again and again.</summary>
sealed class SharedSumState
{
    SumChunks _chunks;
    int _length;
    float[] _values = [];

    public uint Exchange { get; private set; }

    /// <summary>Chunks whose terms have been sent.</summary>
    public int Scattered { get; set; }

    /// <summary>Chunks whose sums are here.</summary>
    public int Gathered { get; set; }

    public bool IsScattered => Scattered == _chunks.Count;

    public bool IsComplete => Gathered == _chunks.Count;

    public ReadOnlySpan<float> Values => _values.AsSpan(0, _length);

    /// <param name="parts">As many as there are ranks.</param>
    /// <param name="own">Copied, because chunks of it are still sent after this returns.</param>
    public void Begin(uint exchange, int parts, ReadOnlySpan<float> own)
    {
        if (_values.Length < own.Length) _values = GC.AllocateUninitializedArray<float>(own.Length);
        own.CopyTo(_values);
        (Exchange, _length, _chunks, Scattered, Gathered) = (exchange, own.Length, new SumChunks(own.Length, parts), 0, 0);
    }

    /// <summary>The part of a chunk that a rank adds up.</summary>
    public Span<float> Part(int chunk, int rank) => _chunks.Part(chunk, rank).Of(_values.AsSpan());
}
