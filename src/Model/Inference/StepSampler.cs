using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference.Ranks;
using LlamaCluster.Model.Inference.Sampling;

namespace LlamaCluster.Model.Inference;

/// <summary>The last stage's part of a step: the rows that are asked for become logits, some at a time, and those become tokens.</summary>
sealed class StepSampler(LlamaConfig config, StageBuffers buffers, ForwardPass forward, IRankExchange exchange)
{
    readonly float[] _gathered = exchange.RankCount == 1 ? [] : new float[checked(buffers.LogitRows * config.VocabularySize)];
    readonly Sampler _sampler = new(config.VocabularySize);
    readonly List<LogitRow> _rows = [];
    readonly List<SampledToken> _tokens = [];
    readonly List<SampledToken> _prompt = [];
    readonly List<SequenceSamples> _results = [];

    /// <summary>Samples what the chunks ask for, and moves their sequences on.</summary>
    public StepOutcome Run(IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        ListRows(chunks, sequences);
        _results.Clear();
        var next = 0;
        ReadOnlySpan<float> logits = [];
        for (var c = 0; c < chunks.Count; c++)
        {
            var (chunk, sequence) = (chunks[c], sequences[chunks[c].SequenceId]);
            _tokens.Clear();
            _prompt.Clear();
            for (; next < _rows.Count && _rows[next].Chunk == c; next++)
            {
                var offset = next % buffers.LogitRows;
                if (offset == 0) logits = ComputeLogits(next, chunks, sequences);
                if (!Choose(_rows[next], chunk, sequence, logits.Slice(offset * config.VocabularySize, config.VocabularySize)))
                    return new StepOutcome.Failed($"sequence {sequence.Id}: the logits after position {_rows[next].Position} are not finite");
            }
            Finish(chunk, sequence, c, chunks);
        }
        return new StepOutcome.Completed([.. _results]);
    }

    void ListRows(IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        _rows.Clear();
        var firstRow = 0;
        for (var c = 0; c < chunks.Count; firstRow += chunks[c++].Count)
        {
            var (chunk, sequence) = (chunks[c], sequences[chunks[c].SequenceId]);
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

    /// <summary>logits[S, V] of as many rows as there is room for, from <paramref name="first"/> on.</summary>
    ReadOnlySpan<float> ComputeLogits(int first, IReadOnlyList<Chunk> chunks, SequenceTable sequences)
    {
        var count = Math.Min(buffers.LogitRows, _rows.Count - first);
        var h = buffers.HeadRows(count);
        for (var i = 0; i < count; i++)
        {
            var row = _rows[first + i];
            var source = row.Row >= 0 ? Row(row.Row) : sequences[chunks[row.Chunk].SequenceId].LastRow;
            source.CopyTo(h[(i * config.HiddenSize)..]);
        }
        var logits = forward.Head(count);
        return exchange.RankCount == 1 ? logits : Gather(logits, count);
    }

    ReadOnlySpan<float> Gather(ReadOnlySpan<float> own, int rows)
    {
        exchange.AllGather(MemoryMarshal.AsBytes(own));
        var first = 0;
        for (var rank = 0; rank < exchange.RankCount; rank++)
        {
            var part = MemoryMarshal.Cast<byte, float>(exchange.Gathered(rank));
            var width = part.Length / rows;
            for (var row = 0; row < rows; row++) part.Slice(row * width, width).CopyTo(_gathered.AsSpan((row * config.VocabularySize) + first));
            first += width;
        }
        return _gathered.AsSpan(0, rows * config.VocabularySize);
    }

    Span<float> Row(int row) => buffers.Stream.Slice(row * config.HiddenSize, config.HiddenSize);

    /// <returns>Whether the logits are finite.</returns>
    bool Choose(LogitRow row, Chunk chunk, SequenceState sequence, ReadOnlySpan<float> logits)
    {
        var tokens = chunk.Tokens.Span;
        var next = row.Position + 1 - chunk.Start; // index of the token that these logits are about
        if (row.Sample < 0)
        {
            var scored = _sampler.Score(logits, tokens[next], sequence.Sampling.TopLogprobs ?? 0);
            if (scored is not null) _prompt.Add(scored);
            return scored is not null;
        }

        // After a draft that was not accepted, the rows that were computed with it say nothing.
        if (_tokens.Count < row.Sample || (row.Sample > 0 && _tokens[^1].Id != tokens[next - 1])) return true;

        if (sequence.History is { } history) history.Add(tokens[(history.Count - chunk.Start)..next]);
        var maskBytes = chunk.TokenMask.Length / chunk.SampleCount;
        var mask = chunk.TokenMask.Span.Slice(row.Sample * maskBytes, maskBytes);
        var sampled = _sampler.Sample(logits, sequence.Sampling, sequence.History, mask, row.Position + 1);
        if (sampled is not null) _tokens.Add(sampled);
        return sampled is not null;
    }

    void Finish(Chunk chunk, SequenceState sequence, int index, IReadOnlyList<Chunk> chunks)
    {
        if (chunk.SampleCount == 0 && sequence.History is { } history) history.Add(chunk.Tokens.Span[(history.Count - chunk.Start)..]);
        KeepLastRow(chunk, sequence, index, chunks);
        if (_tokens.Count > 0 || _prompt.Count > 0) _results.Add(new SequenceSamples(sequence.Id, [.. _tokens], [.. _prompt]));
        sequence.Advance(chunk, accepted: Math.Max(0, _tokens.Count - 1));
    }

    void KeepLastRow(Chunk chunk, SequenceState sequence, int index, IReadOnlyList<Chunk> chunks)
    {
        if (!sequence.Sampling.PromptLogprobs || chunk.Start + chunk.Count >= sequence.PromptLength)
        {
            sequence.LastRow = null;
            return;
        }
        var row = -1;
        for (var c = 0; c <= index; c++) row += chunks[c].Count;
        Row(row).CopyTo(sequence.LastRow ??= new float[config.HiddenSize]);
    }
}
