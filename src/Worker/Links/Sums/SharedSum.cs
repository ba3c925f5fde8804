using LlamaCluster.Model.Inference.Ranks;

namespace LlamaCluster.Worker.Links.Sums;

/// <summary>
/// More than two ranks share the adding: each adds up one part of every chunk for all (reduce-scatter), and sends the sum to the others
/// (all-gather). Begin sends the parts of the first chunk, if no other sum is open; each further chunk's follow while the sums of the one before
/// it are on their way.
/// </summary>
sealed class SharedSum(SumWire wire) : ISumMethod
{
    readonly OpenSum[] _open = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new OpenSum())];
    readonly float[] _sum = new float[SumChunks.MessageValues];
    readonly float[] _term = new float[SumChunks.MessageValues];
    long _begun;
    long _completed;

    public void Begin(ReadOnlySpan<float> own)
    {
        var alone = _begun == _completed;
        var sum = Sum(_begun++);
        sum.Begin(wire.NextExchange(), new SumChunks(own.Length, wire.RankCount));
        if (alone) ScatterOnce(sum, 0, own);
    }

    public void Complete(Span<float> own)
    {
        var sum = Sum(_completed++);
        ScatterOnce(sum, 0, own);
        for (var chunk = 0; chunk < sum.Chunks.Count; chunk++)
        {
            AddUpOwnPart(sum, chunk, own);
            ScatterOnce(sum, chunk + 1, own);
            for (var rank = 0; rank < wire.RankCount; rank++)
                if (rank != wire.Rank && sum.Chunks.Part(chunk, rank) is { Count: > 0 } part)
                    wire.Receive(rank, part.Of(own), sum.Exchange, chunk);
        }
    }

    OpenSum Sum(long number) => _open[number % _open.Length];

    /// <summary>To every rank this one's term of the part that it adds up.</summary>
    void ScatterOnce(OpenSum sum, int chunk, ReadOnlySpan<float> own)
    {
        if (chunk < sum.Scattered || chunk >= sum.Chunks.Count) return;
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank && sum.Chunks.Part(chunk, rank) is { Count: > 0 } part)
                wire.Send(rank, part.Of(own), sum.Exchange, chunk);
        sum.Scattered++;
    }

    void AddUpOwnPart(OpenSum sum, int chunk, Span<float> own)
    {
        var part = sum.Chunks.Part(chunk, wire.Rank);
        if (part.Count == 0) return;
        var total = _sum.AsSpan(0, part.Count);
        for (var rank = 0; rank < wire.RankCount; rank++)
        {
            var term = rank == 0 ? total : _term.AsSpan(0, part.Count);
            if (rank == wire.Rank) wire.Round(part.Of(own), term);
            else wire.Receive(rank, term, sum.Exchange, chunk);
            if (rank > 0) SumWire.Add(total, term);
        }
        wire.SendToAll(total, sum.Exchange, chunk);
        wire.Round(total, part.Of(own));
    }

    sealed class OpenSum
    {
        public uint Exchange { get; private set; }

        public SumChunks Chunks { get; private set; }

        /// <summary>Chunks whose parts have been sent to those who add them up.</summary>
        public int Scattered { get; set; }

        public void Begin(uint exchange, SumChunks chunks) => (Exchange, Chunks, Scattered) = (exchange, chunks, 0);
    }
}
