using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Adds up the terms of two ranks: each sends the other its term, and both add. Begin sends as many chunks as the link takes while the other
/// rank does not receive. The rest are sent while chunks come in.
/// </summary>
sealed class DirectSum(SumWire wire) : ISumMethod
{
    /// <summary>
    /// How many more chunks may be sent than were received, less one. The other rank can be as far ahead of what it has received, so a link may
    /// hold twice that and two. That must fit in <see cref="Peers.IPeerLink.Window"/>.
    /// </summary>
    const int MaxAhead = 3;

    readonly OpenSum[] _open = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new OpenSum())];
    readonly float[] _term = new float[SumChunks.MessageValues];
    long _begun;
    long _completed;
    long _sent;
    long _received;

    public void Begin(ReadOnlySpan<float> own)
    {
        // Chunks go out in order. Nothing of this sum is sent before all of the sum before it.
        var inTurn = _begun == _completed || Sum(_begun - 1).IsSent;
        var sum = Sum(_begun++);
        sum.Begin(wire.NextExchange(), own.Length);
        if (inTurn) SendUpToTheLimit(sum, own);
    }

    public void Complete(Span<float> own)
    {
        var sum = Sum(_completed++);
        for (var chunk = 0; chunk < sum.Chunks.Count; chunk++)
        {
            SendUpToTheLimit(sum, own);
            AddOther(sum, chunk, own);
        }
    }

    OpenSum Sum(long number) => _open[number % _open.Length];

    void SendUpToTheLimit(OpenSum sum, ReadOnlySpan<float> own)
    {
        for (; !sum.IsSent && _sent - _received <= MaxAhead; _sent++, sum.Sent++)
            wire.Send(1 - wire.Rank, sum.Chunks[sum.Sent].Of(own), sum.Exchange, sum.Sent);
    }

    /// <summary>Adds the other rank's term. The order of two terms does not matter to their sum.</summary>
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

        /// <summary>Chunks that were sent.</summary>
        public int Sent { get; set; }

        public bool IsSent => Sent == Chunks.Count;

        public void Begin(uint exchange, int length) => (Exchange, Chunks, Sent) = (exchange, new SumChunks(length, 1), 0);
    }
}

/// <summary>A way for a group of ranks to add up. <see cref="IRankExchange"/> says what begin and complete promise.</summary>
interface ISumMethod
{
    void Begin(ReadOnlySpan<float> own);

    void Complete(Span<float> own);
}
