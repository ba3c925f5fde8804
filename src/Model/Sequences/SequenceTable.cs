using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// The sequences that a stage knows, and whether a step fits them. A step comes from the network: each of its claims is checked here, before
/// anything is computed, and one that is refused leaves no trace.
/// </summary>
/// <param name="kept">What blocks hold from the stage before; null: nothing.</param>
sealed class SequenceTable(LlamaConfig config, StageShape shape, StageOptions options, KeptStates? kept = null) : IDisposable
{
    /// <summary>Vocabularies that masks are kept of.</summary>
    const int MostVocabularies = 16;

    readonly Dictionary<ulong, SequenceState> _sequences = [];
    readonly BlockStates _blocks = new(options.KvBlockCount, shape, kept);
    readonly Stack<(int Block, int Filled, int Sound)> _overwritten = [];
    readonly StepRules _rules = new(config, shape, options);
    readonly int _maxBlocks = BlocksFor(options.MaxSequenceLength);
    readonly Dictionary<GrammarVocabulary, MaskCache> _masks = [];   // the model's vocabulary, and those of adapters
    long _stepNumber;
    bool _isTouched;   // something was put into a block
    Step? _running;

    /// <summary>A sequence that <see cref="Admit"/> has let in.</summary>
    public SequenceState this[ulong id] => _sequences[id];

    /// <summary>Takes in a step's new sequences and blocks, if all of it can be run.</summary>
    /// <param name="givenRows">Rows of activations that came with the step; null on the stage that embeds.</param>
    /// <returns>Null, or in one line why the step is refused.</returns>
    public string? Admit(Step step, int? givenRows)
    {
        _stepNumber++;
        _overwritten.Clear();
        var (started, extended) = (0, 0);
        var problem = _rules.RowProblem(step, givenRows) ?? Copy(step) ?? Start(step, ref started) ?? Extend(step, ref extended) ?? OwnerProblem(step);
        if (problem is null)
        {
            (_isTouched, _running) = (true, step);
            for (var i = 0; i < step.Copies.Count; i++) _blocks.ForgetAbove(step.Copies[i].Target);
            for (var i = 0; i < step.Chunks.Count; i++) Settle(step.Chunks[i]);
            return null;
        }

        for (var i = extended - 1; i >= 0; i--) Shorten(step.Chunks[i]);
        for (var i = 0; i < started; i++)
            if (_sequences.Remove(step.NewSequences[i].SequenceId, out var refused)) refused.Dispose();
        while (_overwritten.TryPop(out var before)) _blocks.Fill(before.Block, before.Filled, before.Sound);
        return problem;
    }

    /// <summary>The step that was admitted last has run to its end.</summary>
    public void Finish() => _running = null;

    /// <summary>What the blocks are worth to another stage. Those that a step which broke off was about to fill hold nothing.</summary>
    /// <returns>Null if nothing was put into any block, and nothing was there before.</returns>
    public KeptStates? Keep()
    {
        if (!_isTouched) return kept is null ? null : kept.Within(shape.FirstLayer, shape.EndLayer) with { AreInherited = true };
        var from = new int[_blocks.Count];
        for (var block = 0; block < from.Length; block++) from[block] = IsWhole(block) ? shape.FirstLayer : shape.EndLayer;
        foreach (var chunk in _running?.Chunks ?? [])
            foreach (var block in _sequences[chunk.SequenceId].Blocks[(chunk.Start / KvBlock.Positions)..])
                from[block] = shape.EndLayer;   // none has ended since
        return new KeptStates(shape.FirstLayer, shape.EndLayer, from);
    }

    /// <summary>
    /// The chunk's numbers are not finite from <paramref name="position"/> on: its sequence fails, and so does any that reads these positions later.
    /// </summary>
    public void Damage(Chunk chunk, int position, string reason)
    {
        var sequence = _sequences[chunk.SequenceId];
        sequence.Damage(reason);
        for (var i = position / KvBlock.Positions; i < sequence.BlockCount; i++)
        {
            var block = sequence.Blocks[i];
            _blocks.Fill(block, _blocks.FilledOf(block), Math.Min(_blocks.SoundOf(block), Math.Max(0, position - (i * KvBlock.Positions))));
        }
    }

    public void End(ulong id)
    {
        if (!_sequences.Remove(id, out var sequence)) return;
        foreach (var block in sequence.Blocks) _blocks.Release(block);
        sequence.Dispose();
    }

    public void Dispose()
    {
        foreach (var sequence in _sequences.Values) sequence.Dispose();
        _sequences.Clear();
    }

    /// <summary>Whether all positions of a block hold keys and values that can be used.</summary>
    public bool IsWhole(int block) => _blocks.Knows(block) && _blocks.IsFull(block) && _blocks.SoundOf(block) == KvBlock.Positions;

    /// <summary>Takes note that a block which no sequence has is filled from elsewhere.</summary>
    /// <returns>False if there is no such block, or a sequence has it.</returns>
    public bool TryFill(int block)
    {
        if (!_blocks.Knows(block) || _blocks.HoldersOf(block) > 0) return false;
        _isTouched = true;
        _blocks.ForgetAbove(block);
        _blocks.Fill(block, KvBlock.Positions, KvBlock.Positions);
        return true;
    }

    string AllBlocks => $"there are blocks 0 to {options.KvBlockCount - 1}";

    static int BlocksFor(int positions) => (int)(((long)positions + KvBlock.Positions - 1) / KvBlock.Positions);

    string? Copy(Step step)
    {
        for (var i = 0; i < step.Copies.Count; i++)
        {
            var (source, target) = step.Copies[i];
            if (!_blocks.Knows(source) || !_blocks.Knows(target)) return $"block {source} is to be copied to block {target}; {AllBlocks}";
            if (_blocks.FilledOf(source) == 0) return $"block {source} is to be copied, but it holds nothing";
            if (_blocks.HoldersOf(target) > 0 || target == source) return $"block {source} is to be copied over block {target}, which is in use";
            _overwritten.Push((target, _blocks.FilledOf(target), _blocks.SoundOf(target)));
            _blocks.Fill(target, _blocks.FilledOf(source), _blocks.SoundOf(source));
        }
        return null;
    }

    string? Start(Step step, ref int started)
    {
        for (; started < step.NewSequences.Count; started++)
        {
            var facts = step.NewSequences[started];
            if (_rules.StartProblem(facts) is { } problem) return problem;
            var history = shape.HasHead && facts.Sampling.NeedsHistory ? new TokenHistory(facts.PromptLength) : null;
            history?.Add([.. facts.History]);
            var adapter = facts.AdapterId == 0 ? null : options.Adapters?.Use(facts.AdapterId);
            var sequence = new SequenceState(facts, _maxBlocks, history, shape.HasHead && facts.Grammar is { } grammar ? Begin(grammar, facts) : null)
            {
                Adapter = adapter,
                VocabularySize = adapter?.VocabularySize ?? _rules.VocabularyOf(facts),
            };
            if (facts.AdapterId != 0 && sequence.Adapter is null) sequence.Fail($"its adapter {facts.AdapterId} is not loaded here");
            if (sequence.Answer?.Problem is { } answerProblem) sequence.Fail(answerProblem, isSound: true);
            if (_rules.FactProblem(facts) is { } factProblem) sequence.Fail(factProblem);
            if (!_sequences.TryAdd(facts.SequenceId, sequence))
            {
                sequence.Dispose();
                return $"sequence {facts.SequenceId} is introduced, but it is known already";
            }
        }
        return null;
    }

    AnswerState Begin(FollowedGrammar grammar, SequenceStart facts)
    {
        if (!_masks.TryGetValue(grammar.Vocabulary, out var masks))
        {
            if (_masks.Count == MostVocabularies) _masks.Clear();   // answers under way keep theirs
            _masks.Add(grammar.Vocabulary, masks = new MaskCache(grammar.Vocabulary));
        }
        var answer = new AnswerState(grammar.Grammar, masks, facts.PromptLength);
        for (var position = facts.PromptLength; position < facts.History.Count; position++) answer.Add(facts.History[position]);
        return answer;
    }

    string? Extend(Step step, ref int extended)
    {
        for (; extended < step.Chunks.Count; extended++)
        {
            var chunk = step.Chunks[extended];
            if (!_sequences.TryGetValue(chunk.SequenceId, out var sequence)) return $"sequence {chunk.SequenceId} is unknown";
            if (sequence.LastStep == _stepNumber) return $"sequence {chunk.SequenceId} has two chunks";
            if (_rules.ChunkProblem(chunk, sequence) is { } problem) return problem;
            if ((NewBlockProblem(chunk, sequence) ?? PrefixProblem(chunk, sequence) ?? AboveProblem(chunk, sequence)) is { } blockProblem) return blockProblem;

            sequence.LastStep = _stepNumber;
            foreach (var block in chunk.NewBlocks.Span)
            {
                sequence.Append(block);
                _blocks.Hold(block);
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
        if (!sequence.HasRoomFor(added.Length))
            return $"sequence {chunk.SequenceId} gets more blocks than a sequence of {options.MaxSequenceLength} positions has";
        var (needed, held) = (BlocksFor(chunk.Start + chunk.Count), sequence.BlockCount + added.Length);
        if (held < needed) return $"sequence {chunk.SequenceId} has {held} blocks; positions up to {chunk.Start + chunk.Count - 1} need {needed}";
        if (added.IsEmpty) return null;

        _blocks.ClearMarks();
        foreach (var block in sequence.Blocks) _blocks.TryMark(block);
        foreach (var block in added)
        {
            if (!_blocks.Knows(block)) return $"sequence {chunk.SequenceId} gets block {block}; {AllBlocks}";
            if (!_blocks.TryMark(block)) return $"sequence {chunk.SequenceId} gets block {block}, which it has already";
            if (_blocks.HoldersOf(block) > 0 && !_blocks.IsFull(block))
                return $"sequence {chunk.SequenceId} gets block {block}, which another sequence has not filled yet";
        }
        return null;
    }

    /// <summary>What comes before a new sequence's first chunk must be in its blocks already.</summary>
    string? PrefixProblem(Chunk chunk, SequenceState sequence)
    {
        if (!sequence.IsNew) return null;
        var blocks = chunk.NewBlocks.Span;
        for (var (i, missing) = (0, chunk.Start); missing > 0; i++, missing -= KvBlock.Positions)
        {
            var needed = Math.Min(missing, KvBlock.Positions);
            if (_blocks.FilledOf(blocks[i]) < needed)
                return $"sequence {chunk.SequenceId} starts at position {chunk.Start}, "
                    + $"but its block {blocks[i]} holds {_blocks.FilledOf(blocks[i])} positions, not {needed}";
        }
        return null;
    }

    /// <summary>Where a chunk ends within the stage, its blocks must hold what is right in the layers behind.</summary>
    string? AboveProblem(Chunk chunk, SequenceState sequence)
    {
        if (chunk.Depth >= shape.EndLayer) return null;
        for (var i = chunk.Start / KvBlock.Positions; i < BlocksFor(chunk.Start + chunk.Count); i++)
        {
            var block = i < sequence.BlockCount ? sequence.Blocks[i] : chunk.NewBlocks.Span[i - sequence.BlockCount];
            if (!_blocks.IsKeptAbove(block, chunk.Depth))
                return $"sequence {chunk.SequenceId} goes through layers up to {chunk.Depth - 1} only, but block {block} holds nothing behind";
        }
        return null;
    }

    /// <summary>Blocks that are written to, now or later, must be their sequence's alone; and what was copied must be for somebody.</summary>
    string? OwnerProblem(Step step)
    {
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var chunk = step.Chunks[i];
            foreach (var block in _sequences[chunk.SequenceId].Blocks[(chunk.Start / KvBlock.Positions)..])
                if (_blocks.HoldersOf(block) > 1) return $"sequence {chunk.SequenceId} would write to block {block}, which another sequence has too";
        }
        for (var i = 0; i < step.Copies.Count; i++)
            if (_blocks.HoldersOf(step.Copies[i].Target) == 0) return $"block {step.Copies[i].Target} is copied to, but no sequence gets it";
        return null;
    }

    /// <summary>The chunk will run: its blocks are filled as far as it goes, and hold nothing after that.</summary>
    void Settle(Chunk chunk)
    {
        var sequence = _sequences[chunk.SequenceId];
        sequence.History?.Truncate(chunk.Start);
        sequence.Answer?.GoBackTo(chunk.Start);
        if (sequence.IsNew) CheckPrefix(chunk, sequence);
        for (var i = chunk.Start / KvBlock.Positions; i < sequence.BlockCount; i++)
        {
            var block = sequence.Blocks[i];
            if (chunk.Depth >= shape.EndLayer) _blocks.ForgetAbove(block);
            var filled = Math.Clamp(chunk.Start + chunk.Count - (i * KvBlock.Positions), 0, KvBlock.Positions);
            var before = Math.Clamp(chunk.Start - (i * KvBlock.Positions), 0, KvBlock.Positions);
            _blocks.Fill(block, filled, sequence.IsDamaged ? Math.Min(_blocks.SoundOf(block), before) : filled);
        }
    }

    /// <summary>A new sequence that takes over keys and values from one that was damaged is damaged too.</summary>
    void CheckPrefix(Chunk chunk, SequenceState sequence)
    {
        for (var first = 0; first < chunk.Start; first += KvBlock.Positions)
        {
            var sound = _blocks.SoundOf(sequence.Blocks[first / KvBlock.Positions]);
            if (sound >= Math.Min(chunk.Start - first, KvBlock.Positions)) continue;
            sequence.Damage($"the keys or values that it takes over are not finite at position {first + sound}");
            return;
        }
    }

    void Shorten(Chunk chunk)
    {
        var sequence = _sequences[chunk.SequenceId];
        for (var i = 0; i < chunk.NewBlocks.Length; i++) _blocks.Release(sequence.RemoveLast());
    }
}
