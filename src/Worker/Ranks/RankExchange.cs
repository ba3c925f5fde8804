using System.Diagnostics;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// How a rank exchanges sums and messages with the other ranks, on the thread that computes. Two ranks use <see cref="DirectSum"/>, more use
/// <see cref="SharedSum"/>.
/// <para>
/// All ranks end with the same bits, even where sums travel rounded: terms are added in rank order, and every rank rounds its own term as a
/// message would. Nothing is allocated once the largest message has been seen.
/// </para>
/// </summary>
sealed class RankExchange(GroupShape shape) : IRankExchange
{
    readonly SumWire _wire = new(shape);
    ISumMethod? _sums;
    GatheredMessages? _messages;
    int _open;

    public int Rank => shape.Rank;

    public int RankCount => shape.RankCount;

    /// <summary>Time spent in exchanges since <see cref="BeginStep"/>: waiting for slower ranks, sending and adding.</summary>
    public TimeSpan Spent { get; private set; }

    /// <summary>Payload bytes sent to all other ranks together since <see cref="BeginStep"/>.</summary>
    public long SentBytes => _wire.SentBytes;

    ISumMethod Sums => _sums ?? throw new InvalidOperationException("the ranks are not linked yet");

    /// <param name="links">By rank; null at this one's own place.</param>
    public void Connect(IReadOnlyList<IPeerLink?> links)
    {
        _wire.Connect(links);
        _messages = new GatheredMessages(_wire);
        _sums = RankCount == 2 ? new DirectSum(_wire) : new SharedSum(_wire);
    }

    public void BeginStep(ulong stepId)
    {
        _wire.BeginStep(stepId);
        Spent = TimeSpan.Zero;
    }

    public void BeginSum(ReadOnlySpan<float> own)
    {
        if (_open == IRankExchange.MaxSumsUnderWay) throw new InvalidOperationException($"{_open} sums are open");
        var begun = Stopwatch.GetTimestamp();
        Sums.Begin(own);
        _open++;
        Spent += Stopwatch.GetElapsedTime(begun);
    }

    public void CompleteSum(Span<float> own)
    {
        if (_open == 0) throw new InvalidOperationException("no sum is open");
        var begun = Stopwatch.GetTimestamp();
        Sums.Complete(own);
        _open--;
        Spent += Stopwatch.GetElapsedTime(begun);
    }

    public void AllGather(ReadOnlySpan<byte> own)
    {
        if (_open > 0) throw new InvalidOperationException("a sum is open");
        var begun = Stopwatch.GetTimestamp();
        (_messages ?? throw new InvalidOperationException("the ranks are not linked yet")).Exchange(own);
        Spent += Stopwatch.GetElapsedTime(begun);
    }

    public ReadOnlySpan<byte> Gathered(int rank) => (_messages ?? throw new InvalidOperationException("the ranks are not linked yet")).Of(rank);
}
