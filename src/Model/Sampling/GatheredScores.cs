using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Model.Sampling;

/// <summary>What all ranks have said of some rows. It came from the network: lengths and ids are checked.</summary>
sealed class GatheredScores(int rankCount, int maxRows, int vocabularySize)
{
    readonly byte[][] _messages = [.. Enumerable.Repeat(Array.Empty<byte>(), rankCount)];
    readonly int[] _starts = new int[rankCount * maxRows];

    public int RankCount => rankCount;

    /// <summary>Takes a rank's message, which is about <paramref name="rows"/> rows.</summary>
    /// <exception cref="RankLostException">It is no such message.</exception>
    public void Take(int rank, ReadOnlySpan<byte> message, int rows)
    {
        if (_messages[rank].Length < message.Length) _messages[rank] = new byte[2 * message.Length];
        message.CopyTo(_messages[rank]);
        var at = 0;
        for (var row = 0; row < rows; row++)
        {
            _starts[(rank * maxRows) + row] = at;
            at += Length(rank, message[at..]);
        }
        if (at != message.Length) throw Wrong(rank, $"{message.Length - at} bytes follow");
    }

    public RowScores Of(int rank, int row) => MemoryMarshal.Read<RowScores>(From(rank, row));

    /// <summary>The rank's ids with the greatest logits, best first.</summary>
    public ReadOnlySpan<ScoredId> Top(int rank, int row) => Ids(rank, row)[..Of(rank, row).TopCount];

    /// <summary>The rank's ids that may be drawn.</summary>
    public ReadOnlySpan<ScoredId> Candidates(int rank, int row) => Ids(rank, row)[Of(rank, row).TopCount..];

    /// <exception cref="RankLostException">The id is none.</exception>
    public ScoredId CheckId(int rank, ScoredId id) => id.Id >= -1 && id.Id < vocabularySize ? id : throw Wrong(rank, $"there is no id {id.Id}");

    ReadOnlySpan<byte> From(int rank, int row) => _messages[rank].AsSpan(_starts[(rank * maxRows) + row]);

    ReadOnlySpan<ScoredId> Ids(int rank, int row)
    {
        var scores = Of(rank, row);
        return MemoryMarshal.Cast<byte, ScoredId>(From(rank, row)[Unsafe.SizeOf<RowScores>()..])[..(scores.TopCount + scores.CandidateCount)];
    }

    /// <summary>Of a row's scores, which are checked.</summary>
    int Length(int rank, ReadOnlySpan<byte> message)
    {
        if (message.Length < Unsafe.SizeOf<RowScores>()) throw Wrong(rank, "they are cut off");
        var scores = MemoryMarshal.Read<RowScores>(message);
        var ids = MemoryMarshal.Cast<byte, ScoredId>(message[Unsafe.SizeOf<RowScores>()..]);
        if (scores.TopCount < 0 || scores.CandidateCount < 0 || (long)scores.TopCount + scores.CandidateCount > ids.Length)
            throw Wrong(rank, $"{scores.TopCount} + {scores.CandidateCount} ids are not there");
        var count = scores.TopCount + scores.CandidateCount;
        CheckId(rank, scores.Chosen);
        foreach (var id in ids[..count])
            if (CheckId(rank, id).Id < 0) throw Wrong(rank, "an id is missing");
        return Unsafe.SizeOf<RowScores>() + (count * Unsafe.SizeOf<ScoredId>());
    }

    static RankLostException Wrong(int rank, string what) => new(rank, $"rank {rank} gave scores that cannot be: {what}");
}
