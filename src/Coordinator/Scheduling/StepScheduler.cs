using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Continuous batching over S pipeline stages. Chooses what each step computes; does no I/O, reads no clock, decides nothing by
/// chance. Not safe for concurrent use.
/// <para>
/// A sequence waits, in order of arrival, until the blocks of all its known tokens are free; then it runs. A step takes one row of
/// each stream that awaits its next token, but only the S-th part of all streams, so that the other stages have streams to work
/// on too; the rest of its rows go to prompts, oldest first. A sequence whose next token is being computed has nothing unscheduled
/// and so is in no second step, while the chunks of one prompt may follow each other through the stages.
/// </para>
/// <para>
/// When a stream needs a block and none is free, the youngest sequence that is in no step gives up its blocks and waits again, to be
/// recomputed from its tokens. Older ones are never held up by younger ones and the oldest fits alone, so something always moves.
/// Blocks of an ended sequence are free at once, even while a step with it is under way: workers carry out steps and ends in the
/// order they were sent.
/// </para>
/// </summary>
public sealed class StepScheduler(SchedulerLimits limits, KvBlockPool pool)
{
    readonly LinkedList<Sequence> _waiting = [];
    readonly List<Sequence> _running = [];   // oldest first
    List<ulong> _ended = [];

    public int StepsInFlight { get; private set; }

    public int WaitingCount => _waiting.Count;

    public int RunningCount => _running.Count;

    public KvBlockPool Pool => pool;

    /// <summary>Sequences that gave up their blocks to others, in all.</summary>
    public long Preemptions { get; private set; }

    public AddOutcome Add(Sequence sequence)
    {
        if (KvBlockPool.BlocksFor(sequence.MaxPositions) > pool.Total) return AddOutcome.NeverFits;
        if (_waiting.Count >= limits.MaxWaiting) return AddOutcome.QueueFull;
        _waiting.AddLast(sequence);
        return AddOutcome.Queued;
    }

    /// <summary>Ends a sequence, wherever it is. Its blocks are free at once.</summary>
    public void Cancel(Sequence sequence)
    {
        if (sequence.Ended) return;
        if (_waiting.Remove(sequence)) sequence.Ended = true;
        else End(sequence);
    }

    /// <summary>The next step, or null if nothing can run before a step returns or a sequence comes.</summary>
    public ScheduledStep? Schedule()
    {
        if (StepsInFlight == limits.StepsInFlight) return null;
        Admit();
        List<ScheduledChunk> chunks = [];
        TakeStreams(chunks);
        TakePrompts(chunks, limits.MaxStepRows - chunks.Count);
        if (chunks.Count == 0) return null;
        StepsInFlight++;
        return new ScheduledStep(chunks, TakeEnded());
    }

    /// <summary>Takes in what a step computed; <paramref name="results"/> has one entry per chunk, in order.</summary>
    public IReadOnlyList<SequenceAdvance> Complete(ScheduledStep step, IReadOnlyList<ChunkResult> results)
    {
        StepsInFlight--;
        List<SequenceAdvance> advances = new(step.Chunks.Count);
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var sequence = step.Chunks[i].Sequence;
            sequence.StepsInFlight--;
            if (!sequence.Ended) advances.Add(Advance(step.Chunks[i], results[i]));
        }
        return advances;
    }

    /// <summary>Sequences that the workers know but which have ended or were preempted since this was last asked, by a step or by hand.</summary>
    public IReadOnlyList<ulong> TakeEnded()
    {
        if (_ended.Count == 0) return [];
        var ended = _ended;
        _ended = [];
        return ended;
    }

    void Admit()
    {
        while (_waiting.First is { Value: var sequence } && _running.Count < limits.MaxRunning)
        {
            // Beside its own, one block for each that runs, or the newcomer would soon be preempted for their growth.
            var needed = KvBlockPool.BlocksFor(sequence.Tokens.Count);
            if (needed + _running.Count > pool.Free || !pool.TryAllocate(needed, sequence.Blocks)) return;
            _waiting.RemoveFirst();
            _running.Insert(_running.FindLastIndex(other => other.Id < sequence.Id) + 1, sequence);
        }
    }

    void TakeStreams(List<ScheduledChunk> chunks)
    {
        var share = DivideUp(_running.Count(sequence => sequence.Unscheduled <= 1), limits.StepsInFlight);
        for (var i = 0; i < _running.Count && chunks.Count < share; i++)
            if (_running[i].Unscheduled == 1 && TryMakeRoom(_running[i])) chunks.Add(Take(_running[i], 1));
    }

    void TakePrompts(List<ScheduledChunk> chunks, int rowsLeft)
    {
        var pending = _running.Sum(sequence => sequence.Unscheduled > 1 ? sequence.Unscheduled : 0);
        var share = Math.Max(limits.MinPromptRows, DivideUp(pending, limits.StepsInFlight - StepsInFlight));
        var rows = Math.Min(rowsLeft, Math.Min(limits.MaxPromptRows, share));
        for (var i = 0; i < _running.Count && rows > 0; i++)
        {
            if (_running[i].Unscheduled <= 1) continue;
            chunks.Add(Take(_running[i], Math.Min(rows, _running[i].Unscheduled)));
            rows -= chunks[^1].Count;
        }
    }

    /// <summary>Sees to it that the sequence has a block for its next position, at younger ones' cost.</summary>
    bool TryMakeRoom(Sequence sequence)
    {
        while (!pool.TryAllocate(KvBlockPool.BlocksFor(sequence.Scheduled + 1) - sequence.Blocks.Count, sequence.Blocks))
        {
            if (_running.FindLast(other => other.Id > sequence.Id && other.StepsInFlight == 0) is not { } victim) return false;
            Preempt(victim);
        }
        return true;
    }

    ScheduledChunk Take(Sequence sequence, int count)
    {
        var start = sequence.Scheduled;
        var blocks = KvBlockPool.BlocksFor(start + count);
        var chunk = new ScheduledChunk(
            sequence, start, count,
            NewBlocks: sequence.Blocks.GetRange(sequence.BlocksAnnounced, blocks - sequence.BlocksAnnounced),
            SampleCount: start + count == sequence.Tokens.Count && sequence.MaxTokens > 0 ? 1 : 0,
            Introduces: !sequence.Announced);
        sequence.Scheduled += count;
        sequence.StepsInFlight++;
        sequence.BlocksAnnounced = blocks;
        sequence.Announced = true;
        return chunk;
    }

    SequenceAdvance Advance(ScheduledChunk chunk, ChunkResult result)
    {
        var sequence = chunk.Sequence;
        FinishReason? finished = sequence.MaxTokens == 0 && chunk.Start + chunk.Count == sequence.PromptLength ? FinishReason.Length : null;
        var taken = 0;
        while (taken < result.Tokens.Count && finished is null)
        {
            var token = result.Tokens[taken++].Id;
            sequence.Append(token);
            if (sequence.StopIds.Contains(token)) finished = FinishReason.Stop;
            else if (sequence.GeneratedLength == sequence.MaxTokens) finished = FinishReason.Length;
        }
        if (finished is not null) End(sequence);
        return new SequenceAdvance(sequence, NewPromptTokens(sequence, result.Prompt), [.. result.Tokens.Take(taken)], finished);
    }

    /// <summary>A sequence that was preempted while its prompt ran reports the prompt's beginning again; it is not delivered twice.</summary>
    static IReadOnlyList<SampledToken> NewPromptTokens(Sequence sequence, IReadOnlyList<SampledToken> reported)
    {
        var known = Math.Clamp(sequence.PromptDelivered - sequence.PromptReported, 0, reported.Count);
        sequence.PromptReported += reported.Count;
        sequence.PromptDelivered = Math.Max(sequence.PromptDelivered, sequence.PromptReported);
        return known == 0 ? reported : [.. reported.Skip(known)];
    }

    void Preempt(Sequence sequence)
    {
        Preemptions++;
        Leave(sequence);
        sequence.Scheduled = 0;
        sequence.BlocksAnnounced = 0;
        sequence.PromptReported = 0;
        sequence.Announced = false;
        _waiting.AddFirst(sequence);
    }

    void End(Sequence sequence)
    {
        Leave(sequence);
        sequence.Ended = true;
    }

    void Leave(Sequence sequence)
    {
        _running.Remove(sequence);
        pool.Release(sequence.Blocks);
        if (sequence.Announced) _ended.Add(sequence.Id);
    }

    static int DivideUp(int value, int parts) => (value + parts - 1) / parts;
}
