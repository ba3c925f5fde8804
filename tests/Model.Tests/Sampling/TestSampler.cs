using System.Buffers;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sampling;

/// <summary>
/// Ranks that share a vocabulary and sample one row at a time, exchanging their messages without a network. One rank alone needs no messages.
/// </summary>
sealed class TestSampler
{
    readonly IndexRange[] _ranges;
    readonly RankScores[] _ranks;
    readonly Sampler _sampler;
    readonly ScoreTable[] _described;
    readonly ArrayBufferWriter<byte> _message = new(1 << 20);

    public TestSampler(int vocabularySize, params int[] starts)
    {
        if (starts.Length == 0) starts = [0];
        _ranges = [.. starts.Select((start, i) => new IndexRange(start, (i + 1 < starts.Length ? starts[i + 1] : vocabularySize) - start))];
        _ranks = [.. _ranges.Select(range => new RankScores(vocabularySize, range))];
        _sampler = new Sampler(vocabularySize, _ranks.Length, maxRows: 1);
        _described = [.. _sampler.Scores.Select((_, rank) => new ScoreTable(rank, maxRows: 1, vocabularySize))];
        ByMessage = RankCount > 1;
    }

    /// <summary>What a rank says is read from its message; else it is where the rank put it.</summary>
    public bool ByMessage { get; init; }

    public int RankCount => _ranks.Length;

    /// <summary>Bytes of all messages so far.</summary>
    public long Sent { get; private set; }

    public IReadOnlyList<ScoreTable> Scores => _sampler.Scores;

    public SampledToken? Sample(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, ReadOnlySpan<byte> mask, int position)
    {
        for (var rank = 0; rank < RankCount; rank++)
        {
            _ranks[rank].Describe(Of(rank, logits), options, history, mask, Cleared(rank));
            Exchange(rank);
        }
        if (!_sampler.IsFinite(0)) return null;
        var drawn = ScoredId.None;
        if (Sampler.DrawsFromAll(options))
        {
            var (rank, rest) = _sampler.FindDrawn(0, options, position);
            drawn = _ranks[rank].Draw(Of(rank, logits), options, history, mask, rest);
        }
        return _sampler.Sample(0, options, drawn, position, _ranges[^1].End);
    }

    public SampledToken? Score(ReadOnlySpan<float> logits, int id, int topLogprobs)
    {
        for (var rank = 0; rank < RankCount; rank++)
        {
            _ranks[rank].Describe(Of(rank, logits), id, topLogprobs, Cleared(rank));
            Exchange(rank);
        }
        return _sampler.IsFinite(0) ? _sampler.Score(0, topLogprobs) : null;
    }

    ReadOnlySpan<float> Of(int rank, ReadOnlySpan<float> logits) => logits.Slice(_ranges[rank].First, _ranges[rank].Count);

    ScoreTable Cleared(int rank)
    {
        var table = ByMessage ? _described[rank] : _sampler.Scores[rank];
        table.Clear();
        return table;
    }

    void Exchange(int rank)
    {
        if (!ByMessage) return;
        _message.ResetWrittenCount();
        _described[rank].Write(_message);
        Sent += _message.WrittenCount;
        _sampler.Scores[rank].Read(_message.WrittenSpan, rows: 1);
    }
}
