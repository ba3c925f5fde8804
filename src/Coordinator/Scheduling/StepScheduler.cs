using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Continuous batching over S pipeline stages. Chooses what each step computes; does no I/O, reads no clock, decides nothing by
/// chance. Not safe for concurrent use.
/// <para>
/// A step takes one row of each stream that awaits its next token, but only the S-th part of all streams, so that the other stages have
/// streams to work on too. Then come rows of prompts: those that have begun, and as long as rows are left those that wait
/// (<see cref="WaitingLine"/> says in which order), which begin once the blocks of all their known tokens can be had. A prompt is
/// looked up in the prefix cache when it begins, and not before what it could share has been computed. A sequence whose next token is being computed has
/// nothing unscheduled and so is in no second step, while the chunks of one prompt may follow each other through the stages. A greedy
/// stream's row may be followed by rows of guessed tokens (<see cref="Speculation.Drafter"/>), where that pays.
/// </para>
/// <para>
/// Sequences rank by priority, then by age. When a stream needs a block and there is none, the lowest in rank that is in no step gives
/// up its blocks and waits again, to be recomputed from its tokens, as far as the prefix cache does not have them. Nobody is held up by those below,
/// and the first in rank fits alone, so something always moves. Blocks of an ended sequence are free at once, even while a step with it is
/// under way: workers carry out steps and ends in the order they were sent.
/// </para>
/// </summary>
public sealed class StepScheduler(SchedulerLimits limits, KvBlockPool pool)
{
    readonly WaitingLine _waiting = new();
    readonly List<Sequence> _running = [];   // by rank, first to last
    readonly SequenceBlocks _blocks = new(pool, limits.CachePrefixes);
    List<ulong> _ended = [];

    public int StepsInFlight { get; private set; }

    public int WaitingCount => _waiting.Count;

    public int RunningCount => _running.Count;

    /// <summary>Sequences that hold blocks.</summary>
    public IReadOnlyList<Sequence> Running => _running;

    public KvBlockPool Pool => pool;

    /// <summary>Sequences that gave up their blocks to others, in all.</summary>
    public long Preemptions { get; private set; }

    /// <summary>Tokens that were looked for in the prefix cache, in all.</summary>
    public long QueriedTokens => _blocks.QueriedTokens;

    /// <summary>Of these, tokens that did not have to be computed.</summary>
    public long HitTokens => _blocks.HitTokens;

    /// <summary>Tokens that were guessed, in all.</summary>
    public long DraftedTokens { get; private set; }

    /// <summary>Of these, tokens that turned out right.</summary>
    public long AcceptedTokens { get; private set; }

    public AddOutcome Add(Sequence sequence)
    {
        if (KvBlock.CountFor(sequence.MaxPositions) > pool.Total) return AddOutcome.NeverFits;
        if (_waiting.Count + _running.Count >= (long)limits.MaxRunning + limits.MaxWaiting) return AddOutcome.QueueFull;
        _waiting.Enter(sequence);
        return AddOutcome.Queued;
    }

    /// <summary>Ends a sequence, wherever it is. Its blocks are free at once.</summary>
    public void Cancel(Sequence sequence)
    {
        if (!sequence.Ended) End(sequence);
    }

    /// <summary>The next step, or null if nothing can run before a step returns or a sequence comes.</summary>
    public ScheduledStep? Schedule()
    {
        if (StepsInFlight == limits.StepsInFlight) return null;
        List<ScheduledChunk> chunks = [];
        var preemptions = Preemptions;
        TakeStreams(chunks);
        TakePrompts(chunks, limits.MaxStepRows - chunks.Sum(chunk => chunk.Count), mayBegin: Preemptions == preemptions);
        if (chunks.Count == 0) return null;
        foreach (var chunk in chunks) _blocks.Publish(chunk.Sequence);
        StepsInFlight++;
        return new ScheduledStep(chunks, TakeCopies(chunks), TakeEnded());
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

    void TakeStreams(List<ScheduledChunk> chunks)
    {
        var share = DivideUp(_running.Count(sequence => sequence.Unscheduled <= 1), limits.StepsInFlight);
        var rows = share + Math.Min(limits.MaxPromptRows, PendingTokens());
        var draftRows = limits.MaxStepRows - rows;
        for (var i = 0; i < _running.Count && chunks.Count < share; i++)
        {
            if (_running[i].Unscheduled != 1 || !TryMakeRoom(_running[i])) continue;
            var drafts = Draft(_running[i], rows, draftRows);
            draftRows -= drafts.Length;
            chunks.Add(Take(_running[i], 1, drafts));
        }
    }

    /// <summary>Guesses a stream's next tokens, as far as there is room that nobody else asks for.</summary>
    /// <param name="rows">Of the step, without drafts.</param>
    /// <param name="draftRows">Left for drafts.</param>
    int[] Draft(Sequence sequence, long rows, long draftRows)
    {
        if (limits.MaxDraftTokens == 0 || !sequence.Sampling.IsGreedy) return [];
        // The last token is sampled but never run, and the one before it is sampled with the draft.
        var most = (int)Math.Min(Math.Min(limits.MaxDraftTokens, draftRows), sequence.MaxTokens - sequence.GeneratedLength - 1);
        var room = sequence.Blocks.Count * KvBlock.Positions - sequence.Scheduled - 1;
        if (most > room && pool.Available <= _running.Count) most = room;
        if (most <= 0) return [];
        var drafts = sequence.Drafter.Draft(sequence.Tokens, rows, most);
        return _blocks.TryGrow(sequence, sequence.Scheduled + 1 + drafts.Length) ? drafts : [];
    }

    long PendingTokens() => _waiting.Tokens + _running.Sum(sequence => sequence.Unscheduled > 1 ? sequence.Unscheduled : 0);

    /// <param name="mayBegin">Not where a stream has just taken others' blocks: they would ask for them back.</param>
    void TakePrompts(List<ScheduledChunk> chunks, int rowsLeft, bool mayBegin)
    {
        var share = Math.Max(limits.MinPromptRows, DivideUp(PendingTokens(), limits.StepsInFlight - StepsInFlight));
        var rows = (int)Math.Min(rowsLeft, Math.Min(limits.MaxPromptRows, share));
        while (rows > 0)
        {
            var next = FirstBegun();
            if (mayBegin && _waiting.First(waiting => !_blocks.AwaitsPrefix(waiting)) is { } first && (next is null || ComesBefore(first, next)))
            {
                if (!(mayBegin = TryBegin(first))) continue;
                next = first;
            }
            if (next is null) return;
            chunks.Add(Take(next, Math.Min(rows, next.Unscheduled), []));
            rows -= chunks[^1].Count;
        }
    }

    /// <summary>Of the prompts that have begun, the one to go on with.</summary>
    Sequence? FirstBegun()
    {
        Sequence? first = null;
        foreach (var sequence in _running)
            if (sequence.Unscheduled > 1 && (first is null || (sequence.Priority == first.Priority && sequence.Share.Served < first.Share.Served))) first = sequence;
        return first;
    }

    bool ComesBefore(Sequence waiting, Sequence begun) => waiting.Priority == begun.Priority
        ? waiting.Share.Served + limits.PromptLead < begun.Share.Served
        : waiting.Priority < begun.Priority;

    bool TryBegin(Sequence sequence)
    {
        // Beside its own, one block for each that runs, or the newcomer would soon be preempted for their growth.
        if (_running.Count >= limits.MaxRunning || !_blocks.TryBegin(sequence, spare: _running.Count)) return false;
        _waiting.Remove(sequence);
        _running.Insert(_running.FindLastIndex(other => Outranks(other, sequence)) + 1, sequence);
        return true;
    }

    /// <summary>Sees to it that the sequence has a block for its next position, at the cost of those below.</summary>
    bool TryMakeRoom(Sequence sequence)
    {
        while (!_blocks.TryGrow(sequence, sequence.Scheduled + 1))
        {
            if (_running.FindLast(other => Outranks(sequence, other) && other.StepsInFlight == 0) is not { } victim) return false;
            Preempt(victim);
        }
        return true;
    }

    /// <param name="count">Of known tokens.</param>
    ScheduledChunk Take(Sequence sequence, int count, int[] drafts)
    {
        var start = sequence.Scheduled;
        // Those of drafts that were wrong are there already.
        var blocks = Math.Max(sequence.BlocksAnnounced, KvBlock.CountFor(start + count + drafts.Length));
        var chunk = new ScheduledChunk(
            sequence, start, count + drafts.Length, drafts,
            NewBlocks: blocks == sequence.BlocksAnnounced ? [] : sequence.Blocks.GetRange(sequence.BlocksAnnounced, blocks - sequence.BlocksAnnounced),
            SampleCount: start + count == sequence.Tokens.Count && sequence.MaxTokens > 0 ? 1 + drafts.Length : 0,
            Introduces: !sequence.Announced);
        sequence.Scheduled += count;
        sequence.StepsInFlight++;
        sequence.BlocksAnnounced = blocks;
        sequence.Announced = true;
        sequence.Share.Served += count;
        return chunk;
    }

    static List<BlockCopy> TakeCopies(List<ScheduledChunk> chunks)
    {
        List<BlockCopy> copies = [];
        foreach (var chunk in chunks)
        {
            if (chunk.Sequence.Copy is { } copy) copies.Add(copy);
            chunk.Sequence.Copy = null;
        }
        return copies;
    }

    SequenceAdvance Advance(ScheduledChunk chunk, ChunkResult result)
    {
        var sequence = chunk.Sequence;
        FinishReason? finished = sequence.MaxTokens == 0 && chunk.Start + chunk.Count == sequence.PromptLength ? FinishReason.Length : null;
        if (chunk.Drafts.Count > 0) Verify(chunk, result.Tokens.Count - 1);
        var taken = 0;
        while (taken < result.Tokens.Count && finished is null)
        {
            var token = result.Tokens[taken++].Id;
            sequence.Append(token);
            if (sequence.StopIds.Contains(token)) finished = FinishReason.Stop;
            else if (sequence.GeneratedLength == sequence.MaxTokens) finished = FinishReason.Length;
        }
        if (finished is not null) End(sequence);
        var tokens = taken == result.Tokens.Count ? result.Tokens : [.. result.Tokens.Take(taken)];
        return new SequenceAdvance(sequence, NewPromptTokens(sequence, result.Prompt), tokens, finished);
    }

    /// <summary>Drafts that were right have been computed as if they had been known.</summary>
    void Verify(ScheduledChunk chunk, int accepted)
    {
        chunk.Sequence.Scheduled += accepted;
        chunk.Sequence.Drafter.Verified(chunk.Drafts.Count, accepted);
        (DraftedTokens, AcceptedTokens) = (DraftedTokens + chunk.Drafts.Count, AcceptedTokens + accepted);
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
        StopRunning(sequence);
        (sequence.Scheduled, sequence.PromptReported, sequence.Announced) = (0, 0, false);
        _waiting.Add(sequence);
    }

    void End(Sequence sequence)
    {
        if (!_waiting.Remove(sequence)) StopRunning(sequence);
        _waiting.Leave(sequence);
        sequence.Ended = true;
    }

    void StopRunning(Sequence sequence)
    {
        _running.Remove(sequence);
        _blocks.Release(sequence);
        if (sequence.Announced) _ended.Add(sequence.Id);
    }

    static bool Outranks(Sequence one, Sequence other) => one.Priority == other.Priority ? one.Id < other.Id : one.Priority < other.Priority;

    static long DivideUp(long value, int parts) => (value + parts - 1) / parts;
}
