using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Two ranks send each other what they have, and both add. Begin sends what the link takes without the other one receiving; the rest goes
/// out while chunks come in.
/// </summary>
sealed class DirectSum(SumWire wire) : ISumMethod
{
    /// <summary>
    /// Chunks that may be sent beyond as many as were received. The other rank can be as far ahead of what it has received, so a link may hold
    /// twice that and two: its window.
    /// </summary>
    const int Ahead = 3;

    readonly OpenSum[] _open = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new OpenSum())];
    readonly float[] _term = new float[SumChunks.MessageValues];
    long _begun;
    long _completed;
    long _sent;
    long _received;

    public void Begin(ReadOnlySpan<float> own)
    {
        // In order: nothing of a sum before all of the one before it is on its way.
        var inTurn = _begun == _completed || Sum(_begun - 1).IsSent;
        var sum = Sum(_begun++);
        sum.Begin(wire.NextExchange(), own.Length);
        if (inTurn) SendWhatMay(sum, own);
    }

    public void Complete(Span<float> own)
    {
        var sum = Sum(_completed++);
        for (var chunk = 0; chunk < sum.Chunks.Count; chunk++)
        {
            SendWhatMay(sum, own);
            AddOther(sum, chunk, own);
        }
    }

    OpenSum Sum(long number) => _open[number % _open.Length];

    void SendWhatMay(OpenSum sum, ReadOnlySpan<float> own)
    {
        for (; !sum.IsSent && _sent - _received <= Ahead; _sent++, sum.Sent++)
            wire.Send(1 - wire.Rank, sum.Chunks[sum.Sent].Of(own), sum.Exchange, sum.Sent);
    }

    /// <summary>Of two terms the order does not matter to the sum.</summary>
    void AddOther(OpenSum sum, int chunk, Span<float> own)
    {
        var values = sum.Chunks[chunk].Of(own);
        var term = _term.AsSpan(0, values.Length);
        wire.Receive(1 - wire.Rank, term, sum.Exchange, chunk);
        _received++;
        if (wire.Rounds) wire.Round(values, values);
        SumWire.Add(values, term);
    }

    sealed class OpenSum
    {
        public uint Exchange { get; private set; }

        public SumChunks Chunks { get; private set; }

        /// <summary>Chunks that have been.</summary>
        public int Sent { get; set; }

        public bool IsSent => Sent == Chunks.Count;

        public void Begin(uint exchange, int length) => (Exchange, Chunks, Sent) = (exchange, new SumChunks(length, 1), 0);
    }
}

/// <summary>How a group of ranks adds up. See <see cref="IRankExchange"/> for what begin and complete owe.</summary>
interface ISumMethod
{
    void Begin(ReadOnlySpan<float> own);

    void Complete(Span<float> own);
}
