using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference.Sampling;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// The sequences that a stage knows, and whether a step fits them. A step comes from the network: each of its claims is checked here, before
/// anything is computed, and one that is refused leaves no trace.
/// </summary>
sealed class SequenceTable(LlamaConfig config, StageShape shape, StageOptions options)
{
    readonly Dictionary<ulong, SequenceState> _sequences = [];
    readonly BlockHolders _holders = new(options.KvBlockCount);
    readonly StepRules _rules = new(config, shape, options);
    readonly int _maxBlocks = BlocksFor(options.MaxSequenceLength);
    long _stepNumber;

    /// <summary>A sequence that <see cref="Admit"/> has let in.</summary>
    public SequenceState this[ulong id] => _sequences[id];

    /// <summary>Takes in a step's new sequences and blocks, if all of it can be run.</summary>
    /// <param name="givenRows">Rows of activations that came with the step; null on the stage that embeds.</param>
    /// <returns>Null, or in one line why the step is refused.</returns>
    public string? Admit(Step step, int? givenRows)
    {
        _stepNumber++;
        var (started, extended) = (0, 0);
        var problem = _rules.RowProblem(step, givenRows) ?? Start(step, ref started) ?? Extend(step, ref extended) ?? WriteProblem(step);
        if (problem is null)
        {
            for (var i = 0; i < step.Chunks.Count; i++) _sequences[step.Chunks[i].SequenceId].History?.Truncate(step.Chunks[i].Start);
            return null;
        }

        for (var i = extended - 1; i >= 0; i--) Shorten(step.Chunks[i]);
        for (var i = 0; i < started; i++) _sequences.Remove(step.NewSequences[i].SequenceId);
        return problem;
    }

    public void End(ulong id)
    {
        if (!_sequences.Remove(id, out var sequence)) return;
        foreach (var block in sequence.Blocks) _holders.Release(block);
    }

    static int BlocksFor(int positions) => (int)(((long)positions + KvBlockLayout.Positions - 1) / KvBlockLayout.Positions);

    string? Start(Step step, ref int started)
    {
        for (; started < step.NewSequences.Count; started++)
        {
            var facts = step.NewSequences[started];
            if (_rules.StartProblem(facts) is { } problem) return problem;
            var history = shape.HasHead && Penalties.NeedHistory(facts.Sampling) ? new TokenHistory(facts.PromptLength) : null;
            history?.Add([.. facts.History]);
            if (!_sequences.TryAdd(facts.SequenceId, new SequenceState(facts, _maxBlocks, history)))
                return $"sequence {facts.SequenceId} is introduced, but it is known already";
        }
        return null;
    }

    string? Extend(Step step, ref int extended)
    {
        for (; extended < step.Chunks.Count; extended++)
        {
            var chunk = step.Chunks[extended];
            if (!_sequences.TryGetValue(chunk.SequenceId, out var sequence)) return $"sequence {chunk.SequenceId} is unknown";
            if (sequence.LastStep == _stepNumber) return $"sequence {chunk.SequenceId} has two chunks";
            if (_rules.ChunkProblem(chunk, sequence) is { } problem) return problem;
            if (NewBlockProblem(chunk, sequence) is { } blockProblem) return blockProblem;

            sequence.LastStep = _stepNumber;
            foreach (var block in chunk.NewBlocks.Span)
            {
                sequence.Append(block);
                _holders.Hold(block);
            }
        }

        for (var i = 0; i < step.NewSequences.Count; i++)
        {
            var id = step.NewSequences[i].SequenceId;
            if (_sequences[id].LastStep != _stepNumber) return $"sequence {id} is introduced, but has no chunk";
        }
        return null;
    }

    string? NewBlockProblem(Chunk chunk, SequenceState sequence)
    {
        var added = chunk.NewBlocks.Span;
        if (!sequence.HasRoomFor(added.Length)) return $"sequence {chunk.SequenceId} gets more blocks than a sequence of {options.MaxSequenceLength} positions has";
        var (needed, held) = (BlocksFor(chunk.Start + chunk.Count), sequence.BlockCount + added.Length);
        if (held < needed) return $"sequence {chunk.SequenceId} has {held} blocks; positions up to {chunk.Start + chunk.Count - 1} need {needed}";
        if (added.IsEmpty) return null;

        _holders.ClearMarks();
        foreach (var block in sequence.Blocks) _holders.TryMark(block);
        foreach (var block in added)
        {
            if (!_holders.Knows(block)) return $"sequence {chunk.SequenceId} gets block {block}; there are blocks 0 to {options.KvBlockCount - 1}";
            if (!_holders.TryMark(block)) return $"sequence {chunk.SequenceId} gets block {block}, which it has already";
        }
        return null;
    }

    /// <summary>Blocks that are written to must be their sequence's alone.</summary>
    string? WriteProblem(Step step)
    {
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var chunk = step.Chunks[i];
            var written = _sequences[chunk.SequenceId].Blocks[(chunk.Start / KvBlockLayout.Positions)..BlocksFor(chunk.Start + chunk.Count)];
            foreach (var block in written)
                if (_holders.Of(block) > 1) return $"sequence {chunk.SequenceId} would write to block {block}, which another sequence has too";
        }
        return null;
    }

    void Shorten(Chunk chunk)
    {
        var sequence = _sequences[chunk.SequenceId];
        for (var i = 0; i < chunk.NewBlocks.Length; i++) _holders.Release(sequence.RemoveLast());
    }
}
