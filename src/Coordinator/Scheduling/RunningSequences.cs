using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Who runs, which means holding KV blocks, and who waits. A sequence waits in line, begins, may be preempted and wait again, and ends.
/// <para>
/// Sequences rank by priority, then by age. When a running one needs a block and there is none, the lowest in rank gives up its blocks and
/// waits again; its KV is computed again from its tokens, as far as the prefix cache does not have it. Nobody is held up by those below, and
/// the first in rank fits alone, so something always moves. A paused sequence gives way to anybody, and does not come back before it is resumed.
/// </para>
/// </summary>
sealed class RunningSequences(SchedulerLimits limits, KvBlockPool pool, DiskTier? disk)
{
    readonly WaitingLine _waiting = new();
    readonly List<SequenceRun> _running = [];
    readonly HashSet<SequenceRun> _parked = [];   // paused, and without blocks
    List<ulong> _ended = [];

    /// <summary>By rank, first to last. Not to be changed by others; it is a list because the scheduler goes through it several times a step.</summary>
    public List<SequenceRun> Running => _running;

    public bool AnyInLine => _waiting.Count > 0;

    /// <summary>Sequences that hold no blocks.</summary>
    public int WaitingCount => _waiting.Count + _parked.Count;

    /// <summary>Known tokens of the sequences in line.</summary>
    public long WaitingTokens => _waiting.Tokens;

    public PrefixCache Cache { get; } = new(pool, limits, disk);

    /// <summary>Sequences that gave up their blocks to others, in all.</summary>
    public long Preemptions { get; private set; }

    /// <summary>Takes in all sequences of a group, or none.</summary>
    public AddOutcome Add(IReadOnlyList<SequenceRun> group)
    {
        if (!group.All(Fits)) return AddOutcome.NeverFits;
        if ((long)WaitingCount + _running.Count + group.Count > (long)limits.MaxRunning + limits.MaxWaiting) return AddOutcome.QueueFull;
        foreach (var (client, count) in group.CountBy(run => run.Client))
            if (WaitingOf(client) + count > (long)limits.MaxWaitingPerClient + Math.Max(0, limits.MaxRunning - _running.Count))
                return AddOutcome.ClientQueueFull;
        foreach (var run in group) _waiting.Enter(run);
        return AddOutcome.Queued;
    }

    /// <summary>Takes in a sequence that was taken in before, elsewhere: the bounds are for new ones.</summary>
    public bool TryCarryOver(SequenceRun run)
    {
        if (!Fits(run)) return false;
        run.IsCarriedOver = run.Sequence.HasBegun;
        _waiting.Enter(run);
        return true;
    }

    /// <summary>The sequence in line that comes next; null if none can begin.</summary>
    public SequenceRun? NextInLine() => _waiting.First(run => run.IsReady && !Cache.AwaitsPrefix(run));

    /// <summary>Gives a waiting sequence blocks for all its known tokens, if they can be had, or begins to read what is on disk of its KV.</summary>
    public BeginOutcome TryBegin(SequenceRun run)
    {
        if (_running.Count + (disk?.Restoring ?? 0) >= limits.MaxRunning) return BeginOutcome.NoRoom;
        // One block more for each that runs, or the newcomer would soon be preempted when they grow.
        var outcome = Cache.TryBegin(run, spare: _running.Count);
        if (outcome != BeginOutcome.Begun) return outcome;
        _waiting.Remove(run);
        _running.Insert(_running.FindLastIndex(other => Outranks(other, run)) + 1, run);
        return outcome;
    }

    public bool HasRoomFor(SequenceRun run) => HasRoomFor(run, []);

    /// <summary>
    /// Makes room for a waiting sequence at the cost of others that it may replace: paused ones first, then the lowest in rank. Nobody has to go
    /// if all of them together would not be enough. Those in a step go when it has returned.
    /// </summary>
    /// <returns>Whether there is room now.</returns>
    public bool TryClearFor(SequenceRun run, Func<SequenceRun, bool> mayReplace)
    {
        if (!HasRoomFor(run, [.. _running.Where(mayReplace)])) return false;
        while (!HasRoomFor(run))
        {
            var victim = _running.FindLast(other => other.Paused && mayReplace(other) && other.StepsInFlight == 0)
                ?? _running.FindLast(other => mayReplace(other) && other.StepsInFlight == 0);
            if (victim is null) return false;
            Preempt(victim);
        }
        return true;
    }

    /// <summary>Sees to it that a running sequence has a block for its next position, at the cost of paused ones and of those below.</summary>
    public bool TryGrow(SequenceRun run)
    {
        while (!Cache.TryGrow(run, run.Scheduled + 1))
        {
            var victim = _running.FindLast(other => other.Paused && other != run && other.StepsInFlight == 0)
                ?? _running.FindLast(other => Outranks(run, other) && other.StepsInFlight == 0);
            if (victim is null) return false;
            Preempt(victim);
        }
        return true;
    }

    public void Pause(SequenceRun run)
    {
        run.Paused = true;
        if (_waiting.Remove(run)) _parked.Add(run);
    }

    public void Resume(SequenceRun run)
    {
        run.Paused = false;
        if (_parked.Remove(run)) _waiting.Add(run);
    }

    /// <summary>
    /// Gives a sequence that is in no step other tokens from a position behind its prompt on. As far as they are the same as before, and where they are fewer,
    /// the old ones stay. The workers are told of the sequence anew if it goes back: its blocks hold what comes before.
    /// </summary>
    public void Rewrite(SequenceRun run, int position, IReadOnlyList<int> tokens)
    {
        var same = 0;
        while (same < tokens.Count && position + same < run.Tokens.Count && run.Tokens[position + same] == tokens[same]) same++;
        if (same == tokens.Count) return;
        var isInLine = _waiting.Remove(run);
        run.Tokens.Truncate(position + same);
        if (run.Scheduled > position + same)
        {
            if (run.Announced) _ended.Add(run.Id);
            (run.Scheduled, run.Announced, run.BlocksAnnounced) = (position + same, false, 0);
        }
        for (; same < tokens.Count; same++) run.Tokens.Append(tokens[same]);
        if (isInLine) _waiting.Add(run);
        // As one that begins, it has blocks for all its known tokens. Where there are none it begins again.
        else if (_running.Contains(run) && !Cache.TryGrow(run, run.Tokens.Count)) Preempt(run);
    }

    /// <summary>Ends a sequence, wherever it is. Its blocks are free at once.</summary>
    public void End(SequenceRun run)
    {
        if (!_waiting.Remove(run) && !_parked.Remove(run)) StopRunning(run, hasEnded: true);
        _waiting.Leave(run);
        run.Ended = true;
    }

    /// <summary>Sequences that the workers know but which have ended or were preempted since this was last asked.</summary>
    public IReadOnlyList<ulong> TakeEnded()
    {
        if (_ended.Count == 0) return [];
        var ended = _ended;
        _ended = [];
        return ended;
    }

    bool Fits(SequenceRun run) => KvBlock.CountFor(run.Sequence.MaxPositions) <= pool.Total;

    int WaitingOf(string client) => _waiting.CountOf(client) + _parked.Count(run => run.Client == client);

    /// <param name="victims">Running sequences that would go.</param>
    bool HasRoomFor(SequenceRun run, IReadOnlyCollection<SequenceRun> victims)
    {
        var left = _running.Count - victims.Count;
        return left < limits.MaxRunning && Cache.CouldBegin(run, victims, spare: left);
    }

    void Preempt(SequenceRun run)
    {
        Preemptions++;
        StopRunning(run, hasEnded: false);
        (run.Scheduled, run.PromptReported, run.Announced) = (0, 0, false);
        if (run.Paused) _parked.Add(run);
        else _waiting.Add(run);
    }

    void StopRunning(SequenceRun run, bool hasEnded)
    {
        _running.Remove(run);
        Cache.Release(run, hasEnded);
        if (run.Announced) _ended.Add(run.Id);
    }

    static bool Outranks(SequenceRun one, SequenceRun other) => one.Priority == other.Priority ? one.Id < other.Id : one.Priority < other.Priority;
}
