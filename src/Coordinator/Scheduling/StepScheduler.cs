using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Continuous batching over S pipeline stages. Chooses what each step computes; does no I/O, reads no clock, decides nothing by
/// chance. Not safe for concurrent use.
/// <para>
/// A step takes one row of each stream that awaits its next token, but only the S-th part of all streams, so that the other stages have
/// streams to work on too. Then come rows of prompts: first those that have begun, then, as long as rows are left, those that wait
/// (<see cref="WaitingLine"/> says in which order). A prompt begins when the blocks of all its known tokens can be had, and not before a prefix
/// that it could share has been computed. A sequence whose next token is being computed has nothing unscheduled and so is in no second step,
/// while the chunks of one prompt may follow each other through the stages. A stream's row may be followed by rows of guessed tokens
/// (<see cref="Drafter"/>), where that pays. A step ends early when its message to a worker would get too long.
/// </para>
/// <para>
/// Positions that begin at a later layer, with rows of a journal, are in steps of their own. While there are such, every other step is one.
/// </para>
/// <para>
/// A waiting sequence of a higher priority replaces running ones of a lower priority if there is no room for both; one of the same priority
/// never does. Blocks of an ended sequence are free at once, even while a step with it is under way, because workers carry out steps and ends
/// in the order they were sent. Who runs, and who gives way to whom, is kept in <see cref="RunningSequences"/>.
/// </para>
/// </summary>
/// <param name="disk">What the workers keep on disk; null: nothing.</param>
public sealed class StepScheduler(SchedulerLimits limits, KvBlockPool pool, DiskTier? disk = null)
{
    readonly RunningSequences _sequences = new(limits, pool, disk);
    readonly StreamDrafts _drafts = new(limits, pool);
    bool _replayed;   // the last step was one of a journal's rows

    public int StepsInFlight { get; private set; }

    /// <summary>The number of the step that was scheduled last; they count from 1.</summary>
    public ulong LastStep { get; private set; }

    public int WaitingCount => _sequences.WaitingCount;

    public int RunningCount => _sequences.Running.Count;

    /// <summary>Sequences that hold blocks, by rank.</summary>
    public IReadOnlyList<SequenceRun> Running => _sequences.Running;

    List<SequenceRun> Runs => _sequences.Running;

    public KvBlockPool Pool => pool;

    public DiskTier? Disk => disk;

    /// <summary>Sessions whose blocks are held in memory for their next sequences.</summary>
    public int SessionCount => _sequences.Cache.Sessions.Count;

    /// <summary>Sequences that gave up their blocks to others, in all.</summary>
    public long Preemptions => _sequences.Preemptions;

    /// <summary>Tokens that were looked for in the prefix cache, in all.</summary>
    public long QueriedTokens => _sequences.Cache.QueriedTokens;

    /// <summary>Of these, tokens that did not have to be computed.</summary>
    public long HitTokens => _sequences.Cache.HitTokens;

    /// <summary>Positions of sequences that the view before had.</summary>
    public CarriedPositions Carried => _sequences.Cache.Carried;

    /// <summary>What was guessed, in all, and how much of it was right.</summary>
    public DraftCounts Drafted => _drafts.Counts;

    /// <summary>When a draft model is asked, and what it has answered.</summary>
    internal ModelDrafting DraftModel => _drafts.Model;

    /// <summary>Takes note of the time since any fixed moment: blocks of sessions are held by it, and drafts of a model are waited for.</summary>
    public void Advance(TimeSpan now)
    {
        _sequences.Cache.Sessions.Advance(now);
        DraftModel.Now = now;
    }

    /// <summary>
    /// Gives a sequence that is in no step other tokens from a position behind its prompt on. What was computed of tokens that stay is kept.
    /// </summary>
    public void Rewrite(SequenceRun run, int position, IReadOnlyList<int> tokens) => _sequences.Rewrite(run, position, tokens);

    /// <summary>Positions from a session's beginning that are held in memory for its next sequence.</summary>
    public int ResidentPositions(string session) => _sequences.Cache.Sessions.ResidentPositions(session);

    public AddOutcome Add(SequenceRun run) => Add([run]);

    /// <summary>Queues all sequences of a group, or none.</summary>
    public AddOutcome Add(IReadOnlyList<SequenceRun> group) => _sequences.Add(group);

    /// <summary>Takes in a sequence that another scheduler had, whatever the bounds are.</summary>
    /// <returns>False if it could need more KV blocks than there are in all.</returns>
    public bool TryCarryOver(SequenceRun run) => _sequences.TryCarryOver(run);

    /// <summary>Ends a sequence, wherever it is. Its blocks are free at once.</summary>
    public void Cancel(SequenceRun run)
    {
        if (!run.Ended) End(run);
    }

    /// <summary>The sequence is in no further step until it is resumed. It keeps its blocks until somebody else needs them.</summary>
    public void Pause(SequenceRun run) => _sequences.Pause(run);

    public void Resume(SequenceRun run) => _sequences.Resume(run);

    /// <summary>The next step, or null if nothing can run before a step returns, a sequence comes or one is resumed.</summary>
    public ScheduledStep? Schedule()
    {
        if (StepsInFlight == limits.StepsInFlight) return null;
        var step = new StepDraft(limits.MaxStepBytes);
        ReplacePaused();
        var preemptions = Preemptions;
        var ahead = BeginAhead(step);
        var rowsAhead = step.Rows;
        if (_replayed || FirstBegun() is not { NextFrom: > 0 }) TakeStreams(step, ahead);
        // A newcomer that got less than its whole prompt has had all rows there are for prompts.
        if (ahead is not { Unscheduled: > 0 }) TakePrompts(step, rowsAhead, mayBegin: Preemptions == preemptions);
        if (step.IsEmpty) return null;
        // Before this step's blocks are published: they are written to disk after it, not before.
        var moves = disk?.TakeMoves();
        LastStep++;
        foreach (var chunk in step.Chunks) _sequences.Cache.Publish(chunk.Run, LastStep);
        StepsInFlight++;
        _replayed = step.Chunks[0].From > 0;
        return step.ToStep(TakeEnded(), moves) with { SentAt = DraftModel.Now };
    }

    /// <summary>Takes in what a step computed; <paramref name="results"/> has one entry per chunk, in order.</summary>
    public IReadOnlyList<SequenceAdvance> Complete(ScheduledStep step, IReadOnlyList<ChunkResult> results)
    {
        StepsInFlight--;
        List<SequenceAdvance> advances = new(step.Chunks.Count);
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var run = step.Chunks[i].Run;
            run.StepsInFlight--;
            if (!run.Ended) advances.Add(results[i].Failure is { } why ? Fail(run, why, results[i].IsSound) : Advance(step.Chunks[i], results[i]));
        }
        if (limits.MaxDraftTokens > 0) DraftModel.Returned(step);
        return advances;
    }

    /// <summary>Sequences that the workers know but which have ended or were preempted since this was last asked, by a step or by hand.</summary>
    public IReadOnlyList<ulong> TakeEnded() => _sequences.TakeEnded();

    /// <summary>If the next in line finds no room, paused sequences make it.</summary>
    void ReplacePaused()
    {
        if (_sequences.AnyInLine && Runs.Exists(run => run.Paused) && _sequences.NextInLine() is { } next && !_sequences.HasRoomFor(next))
            _sequences.TryClearFor(next, other => other.Paused);
    }

    /// <summary>
    /// Begins the next in line at the cost of running sequences of a lower priority, if it finds no room otherwise. This happens before the
    /// streams are taken, while those sequences are in no step; the newcomer's rows are taken at once, so that nobody else gets its blocks.
    /// </summary>
    SequenceRun? BeginAhead(StepDraft step)
    {
        if (!_sequences.AnyInLine || Runs.Count == 0 || _sequences.NextInLine() is not { } next || Runs[^1].Priority <= next.Priority) return null;
        if (FirstBegun() is { } begun && !ComesBefore(next, begun)) return null;
        if (_sequences.HasRoomFor(next)) return null;
        if (!_sequences.TryClearFor(next, other => other.Paused || other.Priority > next.Priority) || _sequences.TryBegin(next) != BeginOutcome.Begun)
            return null;
        step.Add(next.Take(Math.Min(PromptRows(limits.MaxStepRows - Runs.Count), next.Ahead), [], LastStep + 1));
        return next;
    }

    /// <param name="ahead">A sequence that is in the step already.</param>
    void TakeStreams(StepDraft step, SequenceRun? ahead)
    {
        var streams = 0;
        foreach (var run in Runs)
            if (run is { Unscheduled: <= 1, Paused: false }) streams++;
        var share = DivideUp(streams, limits.StepsInFlight);
        var rows = share + Math.Min(limits.MaxPromptRows, PendingTokens());
        var draftRows = limits.MaxStepRows - rows;
        for (var (i, taken) = (0, 0); i < Runs.Count && taken < share; i++)
        {
            var run = Runs[i];
            if (run.Unscheduled != 1 || run.Paused || run == ahead || DraftModel.Awaits(run)) continue;
            if (!step.HasRoomFor(run, 1 + limits.MaxDraftTokens, 1 + limits.MaxDraftTokens)) return;
            if (!_sequences.TryGrow(run)) continue;
            var drafts = _drafts.Draft(run, _sequences, rows, draftRows);
            draftRows -= drafts.Length;
            step.Add(run.Take(1, drafts, LastStep + 1));
            taken++;
        }
    }

    /// <summary>Known tokens of all prompts, whether they have begun or wait, that no step has been given yet.</summary>
    long PendingTokens()
    {
        var tokens = _sequences.WaitingTokens;
        foreach (var run in Runs)
            if (IsPrompt(run)) tokens += run.Unscheduled;
        return tokens;
    }

    /// <summary>How many prompt rows this step is to have: a share for each stage that is free, within the limits.</summary>
    int PromptRows(int rowsLeft)
    {
        var share = Math.Max(limits.MinPromptRows, DivideUp(PendingTokens(), limits.StepsInFlight - StepsInFlight));
        return (int)Math.Min(rowsLeft, Math.Min(limits.MaxPromptRows, share));
    }

    /// <param name="rowsAhead">Prompt rows that are in the step already.</param>
    /// <param name="mayBegin">No if somebody has just given up blocks in this step: whoever began now would take the blocks that were needed.</param>
    void TakePrompts(StepDraft step, int rowsAhead, bool mayBegin)
    {
        var rows = PromptRows(Math.Min(limits.MaxStepRows - step.Rows, limits.MaxPromptRows - rowsAhead));
        while (rows > 0)
        {
            var next = FirstBegun();
            if (mayBegin && _sequences.NextInLine() is { } first && (next is null || ComesBefore(first, next)))
            {
                if (!step.HasRoomFor(first, rows, KvBlock.CountFor(first.Tokens.Count))) return;
                var outcome = _sequences.TryBegin(first);
                mayBegin = outcome != BeginOutcome.NoRoom;
                if (outcome != BeginOutcome.Begun) continue;
                next = first;
                if (!step.HasRoomFor(next, rows, KvBlock.CountFor(next.Tokens.Count))) return;   // it begins at another layer, as is known only now
            }
            else if (next is null || !step.HasRoomFor(next, rows, next.Blocks.Count - next.BlocksAnnounced)) return;
            var count = Math.Min(rows, next.Ahead);
            step.Add(next.Take(count, [], LastStep + 1));
            rows -= count;
        }
    }

    /// <summary>The prompt to go on with among those that have begun and are not in the step yet.</summary>
    SequenceRun? FirstBegun()
    {
        SequenceRun? first = null;
        foreach (var run in Runs)
            if (IsPrompt(run) && run.LastStep <= LastStep
                && (first is null || (run.Priority == first.Priority && run.Share.Served < first.Share.Served)))
                first = run;
        return first;
    }

    bool ComesBefore(SequenceRun waiting, SequenceRun begun) => waiting.Priority == begun.Priority
        ? waiting.Share.Served + limits.PromptLead < begun.Share.Served
        : waiting.Priority < begun.Priority;

    SequenceAdvance Fail(SequenceRun run, string why, bool isSound)
    {
        if (!isSound) _sequences.Cache.Unpublish(run);
        End(run);
        return new SequenceAdvance(run, [], [], null) { Failure = why };
    }

    SequenceAdvance Advance(ScheduledChunk chunk, ChunkResult result)
    {
        var (run, sequence) = (chunk.Run, chunk.Run.Sequence);
        FinishReason? finished = run.MaxTokens == 0 && chunk.Start + chunk.Count == sequence.PromptLength ? FinishReason.Length : null;
        if (chunk.Drafts.Count > 0) _drafts.Verify(chunk, result.Tokens.Count - 1);
        var taken = 0;
        while (taken < result.Tokens.Count && finished is null)
        {
            var token = result.Tokens[taken++].Id;
            run.Tokens.Append(token);
            if (sequence.Request.StopIds.Contains(token)) finished = FinishReason.Stop;
            else if (sequence.GeneratedLength == run.MaxTokens) finished = FinishReason.Length;
        }
        if (chunk.Drafts.Count > 0) _drafts.Publish(run, _sequences.Cache, LastStep);
        if (finished is not null) End(run);
        var tokens = taken == result.Tokens.Count ? result.Tokens : [.. result.Tokens.Take(taken)];
        return new SequenceAdvance(run, run.Undelivered(result.Prompt), tokens, finished) { Embedding = result.Embedding };
    }

    void End(SequenceRun run)
    {
        DraftModel.Forget(run);
        _sequences.End(run);
    }

    static bool IsPrompt(SequenceRun run) => run is { Unscheduled: > 1, Paused: false };

    static long DivideUp(long value, int parts) => (value + parts - 1) / parts;
}
