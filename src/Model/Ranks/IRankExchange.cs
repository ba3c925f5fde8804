using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Ranks;

/// <summary>
/// How one rank of a tensor group meets the others within a step. All ranks make the same calls in the same order, with the same lengths; the
/// calls come from the thread that computes, block it, and have a deadline inside.
/// <para>
/// A sum is begun with this rank's part and completed later, so that the part travels while the next one is computed. Sums are completed in the
/// order they were begun, of which at most <see cref="MaxSumsUnderWay"/> are open at a time.
/// </para>
/// </summary>
public interface IRankExchange
{
    const int MaxSumsUnderWay = 4;

    /// <summary>This rank, from 0.</summary>
    int Rank { get; }

    int RankCount { get; }

    /// <summary>Gives this rank's part of a sum to the others. Does not wait for theirs.</summary>
    /// <param name="own">
    /// Whole rows of activations, each of the same width (a multiple of 32 wherever the model's is), so that blocks of 32 never span
    /// two rows. May hold numbers that are not finite, and the sum must then not be finite either.
    /// </param>
    /// <exception cref="RankLostException">A rank is gone.</exception>
    void BeginSum(ReadOnlySpan<float> own);

    /// <summary>
    /// Completes the oldest sum that is open: waits for the other ranks' parts, and puts in place of this rank's own the sum of all, added up in the
    /// order of ranks. Every rank gets the same bits, which depend on the element's parts alone: not on where it stands or what else is sent.
    /// </summary>
    /// <param name="own">The part that the sum was begun with, unchanged.</param>
    /// <exception cref="RankLostException">A rank is gone, or did not give its part in time.</exception>
    void CompleteSum(Span<float> own);

    /// <summary>Gives a message to all ranks, and takes theirs. No sum may be open.</summary>
    /// <param name="own">Any length, which may be another on each rank.</param>
    /// <exception cref="RankLostException">A rank is gone, or did not give its message in time.</exception>
    void AllGather(ReadOnlySpan<byte> own);

    /// <summary>What a rank (or this one itself) gave with the last <see cref="AllGather"/>. Valid until the next call.</summary>
    ReadOnlySpan<byte> Gathered(int rank);
}

/// <summary>
/// A rank of the tensor group is gone, has been silent for too long, or sent a message that makes no sense. The step cannot be completed, and the
/// stage cannot be used any more: its sequences are half computed.
/// </summary>
/// <param name="rank">Which one, where it is known; else -1.</param>
/// <param name="message">One line.</param>
public sealed class RankLostException(int rank, string message, Exception? inner = null) : Exception(message, inner)
{
    public int Rank => rank;
}

/// <summary>The only rank of a stage that is not split: its part is the sum.</summary>
public sealed class SoleRank : IRankExchange
{
    byte[] _gathered = [];
    int _length;

    public int Rank => 0;

    public int RankCount => 1;

    public void BeginSum(ReadOnlySpan<float> own) { }

    public void CompleteSum(Span<float> own) { }

    public void AllGather(ReadOnlySpan<byte> own)
    {
        if (_gathered.Length < own.Length) _gathered = new byte[own.Length];
        own.CopyTo(_gathered);
        _length = own.Length;
    }

    public ReadOnlySpan<byte> Gathered(int rank) => _gathered.AsSpan(0, _length);
}

/// <summary>
/// How the columns of a sum of activations [B, D] are cut into parts, each of which travels while the next is computed. Parts are begun with the
/// outputs of whole groups of rows of a matrix, and are not so small that a message costs more than it saves.
/// </summary>
/// <param name="width">D</param>
readonly struct SumParts(int width, int rows, int rankCount)
{
    /// <summary>Less than this is sent faster in one message than in two.</summary>
    const int LeastBytes = 32 * 1024;

    /// <summary>Parts start at multiples of it: a block of 32 numbers has one part, one row of a matrix's group too.</summary>
    const int Columns = 32;

    public int Count { get; } = rankCount == 1
        ? 1
        : (int)Math.Clamp((long)rows * width * sizeof(float) / LeastBytes, 1, Math.Min(IRankExchange.MaxSumsUnderWay, Math.Max(1, width / Columns)));

    public IndexRange this[int part] => new(Start(part), Start(part + 1) - Start(part));

    int Start(int part) => part == Count ? width : (int)((long)(width / Columns) * part / Count) * Columns;
}
