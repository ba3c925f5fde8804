using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Inference;

/// <summary>A row of a step that is turned into logits, which say what token <c>Position + 1</c> may be.</summary>
/// <param name="Chunk">Index of the row's chunk.</param>
/// <param name="Row">Row of the step; -1: the one that its sequence has kept from the chunk before.</param>
/// <param name="Sample">Which of the chunk's samples this is, from 0; -1: the next token is known, and only scored.</param>
readonly record struct LogitRow(int Chunk, int Row, int Position, int Sample);

/// <summary>
/// The last stage's part of a step: the rows that are asked for become logits, some at a time, and those become tokens. Each rank has the logits of
/// its own ids; where there are several, they tell each other what choosing takes (<see cref="ScoreTable"/>), and rank 0 chooses.
/// </summary>
/// <param name="maxVocabulary">The greatest of the model's vocabulary and those of adapters.</param>
sealed class StepSampler(LlamaConfig config, StageBuffers buffers, ForwardPass forward, StageSlice slice, IRankExchange exchange, int maxVocabulary)
{
    readonly HiddenStatePool _pool = new(config, buffers, forward);
    readonly HeadLayout _layout = new(config, slice, buffers.LogitRows);
    readonly Dictionary<int, RankScores> _own = [];   // by the size of the vocabulary
    readonly Sampler _sampler = new(maxVocabulary, exchange.RankCount, buffers.LogitRows);
    readonly ScoredId[] _drawn = new ScoredId[buffers.LogitRows];
    readonly ArrayBufferWriter<byte> _message = new();
    readonly ulong[]?[] _masks = new ulong[buffers.LogitRows][];
    readonly bool[] _isMasked = new bool[buffers.LogitRows];
    readonly bool[] _isRefused = new bool[buffers.LogitRows];   // behind a draft that the grammar cannot follow: not sampled from
    readonly List<LogitRow> _rows = [];
    readonly List<SampledToken> _tokens = [];
    readonly List<SampledToken> _prompt = [];
    readonly List<SequenceSamples> _results = [];

    /// <summary>
    /// Samples what the chunks ask for, and moves their sequences on. Ranks other than 0 have no samples to give. A sequence whose logits are not
    /// finite fails, and has no samples either.
    /// </summary>
    public IReadOnlyList<SequenceSamples> Run(IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        ListRows(chunks, sequences);
        _results.Clear();
        var (next, firstRow) = (0, 0);
        for (var c = 0; c < chunks.Count; firstRow += chunks[c++].Count)
        {
            var (chunk, sequence) = (chunks[c], sequences[chunks[c].SequenceId]);
            _tokens.Clear();
            _prompt.Clear();
            for (; next < _rows.Count && _rows[next].Chunk == c; next++)
            {
                var row = next % buffers.LogitRows;
                if (row == 0) PrepareRows(next, chunks, sequences);
                if (exchange.Rank == 0 && sequence.Failure is null) Choose(row, _rows[next], chunk, sequence);
            }
            var embedding = sequence.Sampling.Pooling == Pooling.None ? null : _pool.Add(chunk, firstRow, sequence);
            Finish(chunk, sequence, c, chunks, embedding);
        }
        return _results.Count == 0 ? [] : [.. _results];
    }

    void ListRows(IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        _rows.Clear();
        var firstRow = 0;
        for (var c = 0; c < chunks.Count; firstRow += chunks[c++].Count)
        {
            var (chunk, sequence) = (chunks[c], sequences[chunks[c].SequenceId]);
            if (sequence.Failure is not null) continue;
            var end = chunk.Start + chunk.Count;
            if (sequence.Sampling.PromptLogprobs)
            {
                // A prompt's token is scored by the row before it, which for the chunk's first token is another chunk's last.
                for (var token = Math.Max(1, chunk.Start); token < Math.Min(end, sequence.PromptLength); token++)
                    _rows.Add(new LogitRow(c, token == chunk.Start ? -1 : firstRow + token - 1 - chunk.Start, token - 1, Sample: -1));
            }
            for (var sample = 0; sample < chunk.SampleCount; sample++)
            {
                var position = end - chunk.SampleCount + sample;
                _rows.Add(new LogitRow(c, firstRow + position - chunk.Start, position, sample));
            }
        }
    }

    /// <summary>
    /// Computes logits[S, V] of as many rows as there is room for, from <paramref name="first"/> on. The ranks tell each other what they find in them.
    /// </summary>
    void PrepareRows(int first, IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        var count = Math.Min(buffers.LogitRows, _rows.Count - first);
        var h = buffers.HeadRows(count);
        _layout.Clear();
        for (var i = 0; i < count; i++) _layout.Add(sequences[chunks[_rows[first + i].Chunk].SequenceId].Adapter);
        _layout.Arrange();
        for (var i = 0; i < count; i++)
        {
            var row = _rows[first + i];
            var source = row.Row >= 0 ? Row(row.Row) : sequences[chunks[row.Chunk].SequenceId].LastRow;
            source.CopyTo(h[(_layout.SlotOf(i) * config.HiddenSize)..]);
        }
        forward.Head(_layout);
        ExchangeScores(CollectionsMarshal.AsSpan(_rows).Slice(first, count), chunks, sequences);
        // Every rank knows of all ranks' logits whether they are finite: all fail the same sequences.
        for (var i = 0; i < count; i++)
        {
            var row = _rows[first + i];
            if (!_sampler.IsFinite(i)) sequences[chunks[row.Chunk].SequenceId].Fail($"logits after position {row.Position} are not finite");
        }
        ExchangeDrawn(CollectionsMarshal.AsSpan(_rows).Slice(first, count), chunks, sequences);
    }

    void ExchangeScores(ReadOnlySpan<LogitRow> rows, IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        var own = _sampler.Scores[exchange.Rank];
        own.Clear();
        for (var i = 0; i < rows.Length; i++)
        {
            var (row, chunk) = (rows[i], chunks[rows[i].Chunk]);
            var sequence = sequences[chunk.SequenceId];
            SetMask(i, row, chunk, sequence);
            var scores = ScoresOf(i);
            if (row.Sample < 0) scores.Describe(Logits(i), chunk.Tokens.Span[row.Position + 1 - chunk.Start], sequence.Sampling.TopLogprobs ?? 0, own);
            else scores.Describe(Logits(i), sequence.Sampling, HistoryAt(row, chunk, sequence), MaskOf(i), own);
        }
        if (exchange.RankCount == 1) return;

        _message.ResetWrittenCount();
        own.Write(_message);
        exchange.AllGather(_message.WrittenSpan);
        for (var rank = 0; rank < exchange.RankCount; rank++)
            if (rank != exchange.Rank) _sampler.Scores[rank].Read(exchange.Gathered(rank), rows.Length);
    }

    /// <summary>For rows that draw from all ids: the rank that has the point says which id it is.</summary>
    void ExchangeDrawn(ReadOnlySpan<LogitRow> rows, IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        var any = false;
        for (var i = 0; i < rows.Length; i++)
        {
            var (row, chunk) = (rows[i], chunks[rows[i].Chunk]);
            var sequence = sequences[chunk.SequenceId];
            _drawn[i] = ScoredId.None;
            if (row.Sample < 0 || sequence.Failure is not null || !Sampler.DrawsFromAll(sequence.Sampling)) continue;
            any = true;
            var (rank, rest) = _sampler.FindDrawn(i, sequence.Sampling, row.Position + 1);
            if (rank == exchange.Rank) _drawn[i] = ScoresOf(i).Draw(Logits(i), sequence.Sampling, HistoryAt(row, chunk, sequence), MaskOf(i), rest);
        }
        if (!any || exchange.RankCount == 1) return;

        var bytes = MemoryMarshal.AsBytes(_drawn.AsSpan(0, rows.Length));
        exchange.AllGather(bytes);
        for (var rank = 0; rank < exchange.RankCount; rank++)
        {
            if (exchange.Gathered(rank).Length != bytes.Length) throw new RankLostException(rank,
                $"rank {rank} drew {exchange.Gathered(rank).Length / Unsafe.SizeOf<ScoredId>()} ids, not {rows.Length}");
            var drawn = MemoryMarshal.Cast<byte, ScoredId>(exchange.Gathered(rank));
            for (var i = 0; i < rows.Length; i++)
                if (_sampler.Scores[rank].CheckId(drawn[i]).Id >= 0) _drawn[i] = drawn[i];
        }
    }

    /// <summary>[V] logits of a row, for the rank's ids.</summary>
    ReadOnlySpan<float> Logits(int row) => buffers.Logits(_layout.FirstLogitOf(row), _layout.GroupOf(row).Own.Count);

    /// <summary>What looks at logits of a row's vocabulary.</summary>
    RankScores ScoresOf(int row)
    {
        var group = _layout.GroupOf(row);
        if (_own.TryGetValue(group.Size, out var scores)) return scores;
        _own.Add(group.Size, scores = new RankScores(group.Size, group.Own));
        return scores;
    }

    Span<float> Row(int row) => buffers.Stream.Slice(row * config.HiddenSize, config.HiddenSize);

    /// <summary>The tokens up to the row's position, drafts among them; null where no penalty asks for them.</summary>
    static TokenHistory? HistoryAt(LogitRow row, Chunk chunk, SequenceState sequence)
    {
        if (sequence.History is not { } history) return null;
        history.Truncate(row.Position + 1);
        history.Add(chunk.Tokens.Span[(history.Count - chunk.Start)..(row.Position + 1 - chunk.Start)]);
        return history;
    }

    /// <summary>The ids that may be chosen; empty: all.</summary>
    ReadOnlySpan<byte> MaskOf(int index) => _isMasked[index] ? MemoryMarshal.AsBytes(_masks[index].AsSpan()) : [];

    /// <summary>
    /// Finds the ids that may be chosen: those that the answer's grammar lets through; and while an answer has fewer tokens than it must have, none that
    /// would end it, unless the grammar leaves no others. All ranks find the same, for all ids.
    /// </summary>
    void SetMask(int index, LogitRow row, Chunk chunk, SequenceState sequence)
    {
        var isShort = row.Sample >= 0 && row.Position + 1 - sequence.PromptLength < sequence.Sampling.MinTokens;
        var answer = row.Sample >= 0 && sequence.Failure is null ? sequence.Answer : null;
        _isMasked[index] = isShort || answer is not null;
        _isRefused[index] = false;
        if (!_isMasked[index]) return;

        var mask = (_masks[index] ??= new ulong[TokenMask.Words(maxVocabulary)]).AsSpan(0, TokenMask.Words(_layout.GroupOf(index).Size));
        if (answer is null) mask.Fill(ulong.MaxValue);
        else
        {
            _isRefused[index] = !answer.TryGoTo(row.Position + 1, chunk.Tokens.Span, chunk.Start, DraftsOf(chunk))
                || !answer.TryMask(mask, isDraft: row.Sample > 0);
            if (answer.Problem is { } problem) sequence.Fail(problem, isSound: true);
            if (answer.Problem is not null || _isRefused[index]) mask.Fill(ulong.MaxValue);
        }
        if (isShort && (answer is null || TokenMask.AllowsAnyBut(sequence.Sampling.EndIds, mask))) TokenMask.Forbid(sequence.Sampling.EndIds,
            MemoryMarshal.AsBytes(mask));
    }

    void Choose(int index, LogitRow row, Chunk chunk, SequenceState sequence)
    {
        var next = row.Position + 1 - chunk.Start; // index of the token that these logits are about
        if (row.Sample < 0)
        {
            _prompt.Add(_sampler.Score(index, sequence.Sampling.TopLogprobs ?? 0));
            return;
        }
        // After a draft that was not accepted, the rows that were computed with it say nothing.
        if (_isRefused[index]) return;
        if (_tokens.Count < row.Sample || (row.Sample > 0 && _tokens[^1].Id != chunk.Tokens.Span[next - 1])) return;
        _tokens.Add(_sampler.Sample(index, sequence.Sampling, _drawn[index], row.Position + 1, _layout.GroupOf(index).Size));
    }

    void Finish(Chunk chunk, SequenceState sequence, int index, IReadOnlyList<Chunk> chunks, float[]? embedding)
    {
        // Drafts too: the next chunk begins behind those that were accepted, and takes the others out.
        if (sequence.History is { } history) history.Add(chunk.Tokens.Span[(history.Count - chunk.Start)..]);
        sequence.Answer?.TryGoTo(chunk.Start + chunk.Count, chunk.Tokens.Span, chunk.Start, DraftsOf(chunk));
        KeepLastRow(chunk, sequence, index, chunks);
        if (sequence.Failure is null && (_tokens.Count > 0 || _prompt.Count > 0 || (embedding is not null && exchange.Rank == 0)))
            _results.Add(new SequenceSamples(sequence.Id, [.. _tokens], [.. _prompt]) { Embedding = embedding ?? [] });
        sequence.Advance(chunk, accepted: exchange.Rank == 0 && sequence.Failure is null ? Math.Max(0, _tokens.Count - 1) : null);
    }

    /// <summary>How many of a chunk's last tokens are guesses.</summary>
    static int DraftsOf(Chunk chunk) => Math.Max(0, chunk.SampleCount - 1);

    void KeepLastRow(Chunk chunk, SequenceState sequence, int index, IReadOnlyList<Chunk> chunks)
    {
        if (sequence.Failure is not null || !sequence.Sampling.PromptLogprobs || chunk.Start + chunk.Count >= sequence.PromptLength)
        {
            sequence.LastRow = null;
            return;
        }
        var row = -1;
        for (var c = 0; c <= index; c++) row += chunks[c].Count;
        Row(row).CopyTo(sequence.LastRow ??= new float[config.HiddenSize]);
    }
}
