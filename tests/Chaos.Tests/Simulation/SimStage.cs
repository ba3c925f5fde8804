using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// A stage that computes <see cref="SimModel"/>. Which steps it takes is decided by the real worker's <see cref="SequenceTable"/>, so that a step that a
/// real worker would refuse is refused here.
/// </summary>
sealed class SimStage
{
    readonly StageShape _shape;
    readonly SequenceTable _table;
    readonly ulong[][] _keys;   // [layers][blocks * 16]
    readonly Dictionary<ulong, List<int>> _histories = [];   // on the last stage
    readonly Dictionary<ulong, ulong> _lastRows = [];        // the same

    /// <param name="kept">KV of the stage before, in layers of this one; null: none.</param>
    public SimStage(SimModel model, StageShape shape, StageOptions options, SimKept? kept, SeededRandom random)
    {
        (_shape, _table) = (shape, new SequenceTable(model.Config, shape, options, kept?.States));
        _keys = [.. Enumerable.Range(shape.FirstLayer, shape.LayerCount).Select(layer => kept?.Layers.GetValueOrDefault(layer) ?? Garbage(options, random))];
    }

    /// <summary>What the stage leaves behind; null: nothing.</summary>
    public SimKept? Keep() => _table.Keep() is { } states
        ? new SimKept(states, Enumerable.Range(states.FirstLayer, states.EndLayer - states.FirstLayer)
            .ToDictionary(layer => layer, layer => _keys[layer - _shape.FirstLayer]))
        : null;

    static ulong[] Garbage(StageOptions options, SeededRandom random)
    {
        var keys = new ulong[options.KvBlockCount * KvBlock.Positions];
        Array.Fill(keys, random.Next());
        return keys;
    }

    /// <summary>Sequences that it has not been told to forget.</summary>
    public HashSet<ulong> Known { get; } = [];

    /// <param name="input">One number a row, from the stage before; null on the first.</param>
    /// <param name="output">For the next stage.</param>
    public StepOutcome Run(Step step, ulong[]? input, out ulong[] output)
    {
        output = [];
        if (_table.Admit(step, input?.Length) is { } problem) return new StepOutcome.Refused(problem);
        foreach (var (source, target) in step.Copies)
            foreach (var layer in _keys) Array.Copy(layer, source * KvBlock.Positions, layer, target * KvBlock.Positions, KvBlock.Positions);
        foreach (var start in step.NewSequences)
        {
            Known.Add(start.SequenceId);
            if (_shape.HasHead) _histories[start.SequenceId] = [.. start.History];
        }
        output = new ulong[step.Chunks.Sum(chunk => chunk.Count)];
        List<SequenceSamples> samples = [];
        var row = 0;
        foreach (var chunk in step.Chunks)
        {
            var sequence = _table[chunk.SequenceId];
            var rows = output.AsSpan(row, chunk.Count);
            for (var i = 0; i < chunk.Count; i++)
                rows[i] = RunRow(
                    sequence, chunk.Depth, chunk.Start + i, input is null ? SimModel.Embed(chunk.Tokens.Span[i], chunk.Start + i) : input[row + i]);
            row += chunk.Count;
            if (!_shape.HasHead)
            {
                sequence.Advance(chunk, accepted: null);
                continue;
            }
            if (Sample(chunk, sequence, rows) is { } sampled) samples.Add(sampled);
            sequence.Advance(chunk, Math.Max(0, chunk.SampleCount == 0 ? 0 : samples[^1].Tokens.Count - 1));
        }
        output = output[..step.RowsBeyond(_shape.EndLayer)];
        _table.Finish();
        return new StepOutcome.Completed(samples);
    }

    /// <summary>Where positions of a sequence that it knows stand in a layer.</summary>
    public int SlotOf(ulong sequence, int position) => Slot(_table[sequence].Blocks, position);

    public void End(ulong sequence)
    {
        _table.End(sequence);
        Known.Remove(sequence);
        _histories.Remove(sequence);
        _lastRows.Remove(sequence);
    }

    ulong RunRow(SequenceState sequence, int depth, int position, ulong x)
    {
        var blocks = sequence.Blocks;
        for (var layer = 0; layer < Math.Min(_keys.Length, depth - _shape.FirstLayer); layer++)
        {
            var keys = _keys[layer];
            keys[Slot(blocks, position)] = SimModel.Key(x, _shape.FirstLayer + layer);
            var seen = 0UL;
            for (var p = 0; p <= position; p++) seen += SimModel.Seen(keys[Slot(blocks, p)], p);
            x = SimModel.Next(x, seen);
        }
        return x;
    }

    static int Slot(ReadOnlySpan<int> blocks, int position) => blocks[position / KvBlock.Positions] * KvBlock.Positions + position % KvBlock.Positions;

    SequenceSamples? Sample(Chunk chunk, SequenceState sequence, ReadOnlySpan<ulong> rows)
    {
        var sampling = sequence.Sampling;
        var history = _histories[chunk.SequenceId];
        if (history.Count > chunk.Start) history.RemoveRange(chunk.Start, history.Count - chunk.Start);
        List<SampledToken> tokens = [], prompt = [];
        for (var i = 0; i < chunk.Count; i++)
        {
            var (position, token) = (chunk.Start + i, chunk.Tokens.Span[i]);
            if (sampling.PromptLogprobs && position > 0 && position < sequence.PromptLength)
                prompt.Add(new SampledToken(token, SimModel.Logprob(i > 0 ? rows[i - 1] : _lastRows[chunk.SequenceId], token), []));
            if (sampling.NeedsHistory) history.Add(token);
            var sample = i - (chunk.Count - chunk.SampleCount);
            if (sample < 0 || tokens.Count < sample || (sample > 0 && tokens[^1].Id != token)) continue;
            var seen = 0UL;
            foreach (var id in history) seen = SimModel.History(seen, id);
            tokens.Add(SimModel.Choose(rows[i], position, sampling, sampling.NeedsHistory ? seen : 0));
        }
        _lastRows[chunk.SequenceId] = rows[^1];
        return tokens.Count + prompt.Count > 0 ? new SequenceSamples(chunk.SequenceId, tokens, prompt) : null;
    }
}

/// <summary>KV that outlives its stage: of each layer, by its number in the model, the keys of all blocks.</summary>
sealed record SimKept(KeptStates States, IReadOnlyDictionary<int, ulong[]> Layers)
{
    public SimKept Within(StageShape shape) => this with { States = States.Within(shape.FirstLayer, shape.EndLayer) };
}
