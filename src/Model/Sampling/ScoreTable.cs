using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Model.Sampling;

/// <summary>An id and its score. Travels between ranks as 12 bytes, little-endian.</summary>
/// <param name="Id">-1: none.</param>
/// <param name="Score">After penalties, bias and mask.</param>
/// <param name="Logit">As the model gave it.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct ScoredId(int Id, float Score, float Logit)
{
    public static ScoredId None { get; } = new(-1, float.NegativeInfinity, float.NegativeInfinity);
}

/// <summary>What one rank says about its ids for one row of logits. Travels between ranks, little-endian, followed by the ids that it counts.</summary>
/// <param name="MaxLogit">The greatest logit; NaN where not all are finite.</param>
/// <param name="LogitSum">The sum of e^(logit - MaxLogit); 0 where no log-probability is asked for.</param>
/// <param name="MaxScore">The greatest score after penalties, bias and mask; -infinity where none of the ids is allowed.</param>
/// <param name="ScoreSum">The sum of e^((score - MaxScore) / temperature); 0 where it does not matter.</param>
/// <param name="Chosen">The lowest id with the greatest score; where the token is known, that one or none.</param>
/// <param name="TopCount">How many ids with the greatest logits follow, best first.</param>
/// <param name="CandidateCount">
/// How many ids follow then: all that may be drawn where scores are filtered. They ascend, or with top_k may stand best first.
/// </param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct RowScores(
    float MaxLogit, float LogitSum, float MaxScore, float ScoreSum, ScoredId Chosen, int TopCount, int CandidateCount);

/// <summary>
/// What one rank says about its ids for some rows of logits. The rank itself fills its table row by row; the other ranks fill theirs from its
/// message. A stage without ranks has one table and no messages.
/// </summary>
/// <param name="vocabularySize">V of all ranks: ids are below it.</param>
sealed class ScoreTable(int rank, int maxRows, int vocabularySize)
{
    readonly RowScores[] _rows = new RowScores[maxRows];
    readonly int[] _firstIds = new int[maxRows];
    ScoredId[] _ids = [];
    int _rowCount;
    int _idCount;
    int _ofRow;

    public RowScores this[int row] => _rows[row];

    /// <summary>The rank's ids with the greatest logits, best first.</summary>
    public ReadOnlySpan<ScoredId> Top(int row) => _ids.AsSpan(_firstIds[row], _rows[row].TopCount);

    /// <summary>The rank's ids that may be drawn.</summary>
    public ReadOnlySpan<ScoredId> Candidates(int row) => _ids.AsSpan(_firstIds[row] + _rows[row].TopCount, _rows[row].CandidateCount);

    public void Clear() => _rowCount = _idCount = _ofRow = 0;

    /// <summary>Adds an id to the row that is completed next: top ones first, then candidates.</summary>
    public void Add(ScoredId id)
    {
        if (_idCount == _ids.Length) Array.Resize(ref _ids, Math.Max(64, 2 * _ids.Length));
        _ids[_idCount++] = id;
    }

    /// <summary>Completes a row, of which the ids have been added.</summary>
    public void Complete(RowScores row)
    {
        _firstIds[_rowCount] = _ofRow;
        _rows[_rowCount++] = row;
        _ofRow = _idCount;
    }

    /// <summary>Writes the rank's message: each row, then its ids.</summary>
    public void Write(ArrayBufferWriter<byte> message)
    {
        for (var row = 0; row < _rowCount; row++)
        {
            message.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<RowScores>(in _rows[row])));
            message.Write(MemoryMarshal.AsBytes(_ids.AsSpan(_firstIds[row], _rows[row].TopCount + _rows[row].CandidateCount)));
        }
    }

    /// <summary>Takes the rank's message. It came from the network: lengths and ids are checked.</summary>
    /// <param name="rows">How many rows the message must be about.</param>
    /// <exception cref="RankLostException">It is no such message.</exception>
    public void Read(ReadOnlySpan<byte> message, int rows)
    {
        Clear();
        for (var row = 0; row < rows; row++)
        {
            if (message.Length < Unsafe.SizeOf<RowScores>()) throw Wrong("they are cut off");
            var scores = MemoryMarshal.Read<RowScores>(message);
            message = message[Unsafe.SizeOf<RowScores>()..];
            var ids = MemoryMarshal.Cast<byte, ScoredId>(message);
            if (scores.TopCount < 0 || scores.CandidateCount < 0 || (long)scores.TopCount + scores.CandidateCount > ids.Length)
                throw Wrong($"{scores.TopCount} + {scores.CandidateCount} ids are not there");
            CheckId(scores.Chosen);
            ids = ids[..(scores.TopCount + scores.CandidateCount)];
            foreach (var id in ids)
            {
                if (CheckId(id).Id < 0) throw Wrong("an id is missing");
                Add(id);
            }
            Complete(scores);
            message = message[(ids.Length * Unsafe.SizeOf<ScoredId>())..];
        }
        if (message.Length > 0) throw Wrong($"{message.Length} bytes follow");
    }

    /// <exception cref="RankLostException">The rank names an id that does not exist.</exception>
    public ScoredId CheckId(ScoredId id) => id.Id >= -1 && id.Id < vocabularySize ? id : throw Wrong($"there is no id {id.Id}");

    RankLostException Wrong(string what) => new(rank, $"rank {rank} gave scores that cannot be: {what}");
}
