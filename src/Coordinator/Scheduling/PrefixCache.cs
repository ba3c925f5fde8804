using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Gives sequences their blocks, and with them the KV that others have computed for the same tokens.
/// <para>
/// Others can find a block as soon as the step that fills it is scheduled. All stages carry out steps, and the ends of sequences, in the order
/// in which they were scheduled. So a sequence that begins in a later step finds the block filled, even if the first step is still under way
/// here, and even if the sequence that computed it was cancelled meanwhile. If a step fails, its view ends, and the pool with it. If a
/// sequence fails, its blocks cannot be found any more. The blocks of a step are published after the step is put together, so none is
/// shared within it.
/// </para>
/// <para>
/// Only full blocks are shared, and nobody writes to a full block, because a sequence's next position is never in one. Where two prompts are
/// equal to their end (n choices of one prompt, or the same request again), all KV but that of the last token is there, and the block in which
/// the last token stands is copied. The last known token is always computed, for its logits.
/// </para>
/// <para>
/// Blocks that the view before left may lack their content in some layers (<see cref="KeptPrefixes"/>). A sequence that could begin with them takes them, and
/// fills them in steps that go through those layers only. Others find them as soon as such a step is scheduled, as any that is filled.
/// </para>
/// </summary>
/// <param name="disk">What was computed before and is on disk; null: nothing is kept there.</param>
sealed class PrefixCache(KvBlockPool pool, SchedulerLimits limits, DiskTier? disk)
{
    const int BlockSize = KvBlock.Positions;

    /// <summary>Prefixes that sequences which have begun are about to compute.</summary>
    readonly Dictionary<PrefixCacheKey, SequenceRun> _underWay = [];

    /// <summary>What outlives other blocks.</summary>
    public SessionHolds Sessions { get; } = new(pool, limits.SessionHold);

    /// <summary>Tokens that were looked for in the cache, in all.</summary>
    public long QueriedTokens { get; private set; }

    /// <summary>Of these, tokens that did not have to be computed.</summary>
    public long HitTokens { get; private set; }

    /// <summary>How the KV of sequences that the view before had came to be here.</summary>
    public CarriedPositions Carried { get; private set; }

    /// <summary>
    /// Another sequence, of the same or a higher priority, is about to compute what this one could begin with, or it is being read from disk. Waiting for
    /// it is cheaper than computing it twice.
    /// </summary>
    public bool AwaitsPrefix(SequenceRun run)
    {
        if (run.AwaitedPrefix is not { } awaited || !IsUnderWay(awaited, run))
            run.AwaitedPrefix = IsCacheable(run) ? LastUnderWay(run) : null;
        return run.AwaitedPrefix is not null;
    }

    /// <summary>
    /// Gives a sequence blocks for all its known tokens, and lets it go on behind the tokens whose KV is there already. What more of its KV is on disk is
    /// read first.
    /// </summary>
    /// <param name="spare">Blocks that must be left for others.</param>
    public BeginOutcome TryBegin(SequenceRun run, int spare)
    {
        var match = IsCacheable(run) ? Find(run) : PrefixMatch.None;
        if (IsOnDisk(run, match))
            return disk!.TryRestore(run, MostShared(run), KvBlock.CountFor(run.Tokens.Count) + spare) ? BeginOutcome.Restoring : BeginOutcome.NoRoom;
        // The source of a copy is held for a moment. A sequence that needs all blocks cannot have that one too.
        if (!TryTake(run, match, spare) && (match.Partial is null || !TryTake(run, match with { Partial = null }, spare))) return BeginOutcome.NoRoom;
        run.Sequence.CachedTokens ??= run.Scheduled;
        if (run.IsCarriedOver) Carried = Carried.With(run);
        run.IsCarriedOver = false;
        if (!limits.CachePrefixes) return BeginOutcome.Begun;
        if (IsCacheable(run)) (QueriedTokens, HitTokens) = (QueriedTokens + run.Tokens.Count, HitTokens + run.Scheduled);
        run.PublishedBlocks = run.Scheduled / BlockSize;
        run.PartialEnd = run.Tokens.Count % BlockSize > 1 && run.Lasting == run.Tokens.Count ? run.Tokens.Count : null;
        foreach (var prefix in Unpublished(run))
            if (pool.Find(prefix) is null) _underWay.TryAdd(prefix, run);
        return BeginOutcome.Begun;
    }

    /// <summary>Whether a sequence could begin if its victims gave up their blocks.</summary>
    /// <param name="spare">Blocks that must be left for others.</param>
    public bool CouldBegin(SequenceRun run, IEnumerable<SequenceRun> victims, int spare)
    {
        var found = IsCacheable(run) ? Find(run).Blocks : [];
        Dictionary<int, int> holds = [];   // how many holds of each block the victims would give up
        foreach (var victim in victims)
            foreach (var block in victim.Blocks) holds[block] = holds.GetValueOrDefault(block) + 1;
        var freed = holds.Count(hold => pool.HoldersOf(hold.Key) == hold.Value);
        // Blocks that the sequence would share cannot be given out to it.
        var shared = found.Count(block => pool.HoldersOf(block) == holds.GetValueOrDefault(block));
        return KvBlock.CountFor(run.Tokens.Count) - found.Count + spare <= pool.Available + freed - shared;
    }

    /// <summary>Sees to it that a sequence has blocks for so many positions.</summary>
    public bool TryGrow(SequenceRun run, int positions) => pool.TryAllocate(KvBlock.CountFor(positions) - run.Blocks.Count, run.Blocks);

    /// <summary>What has been scheduled of a sequence can be found from now on.</summary>
    /// <param name="step">The number of the last step of the view.</param>
    public void Publish(SequenceRun run, ulong step)
    {
        if (!limits.CachePrefixes) return;
        for (; (run.PublishedBlocks + 1) * BlockSize <= Math.Min(run.Scheduled, run.Lasting); run.PublishedBlocks++)
            Publish(run, (run.PublishedBlocks + 1) * BlockSize, step);
        if (run.PartialEnd is not { } end || end > run.Scheduled) return;
        Publish(run, end, step);
        run.PartialEnd = null;
    }

    /// <summary>Takes a sequence's blocks back, even if it has not computed all that it was given them for.</summary>
    /// <param name="hasEnded">It does not come back; its session may.</param>
    public void Release(SequenceRun run, bool hasEnded)
    {
        if (_underWay.Count > 0)
            foreach (var prefix in Unpublished(run)) EndUnderWay(run, prefix);
        disk?.Use(run, run.PublishedBlocks);
        if (hasEnded) Sessions.End(run, run.PublishedBlocks);
        pool.Release(run.Blocks);
        run.FillEnd = 0;
    }

    /// <summary>
    /// The numbers that a sequence has run on may be bad: nothing of it can be found any more. A sequence that shares some of its blocks
    /// fails by itself if they are bad.
    /// </summary>
    public void Unpublish(SequenceRun run)
    {
        foreach (var block in run.Blocks) pool.Unpublish(block);
        if (run.CopiedFrom is var (key, source) && pool.Find(key) == source) pool.Unpublish(source);
    }

    /// <summary>The log-probabilities of a prompt's tokens are only known when the prompt is computed.</summary>
    bool IsCacheable(SequenceRun run) => limits.CachePrefixes && run.Sampling is { PromptLogprobs: false, Pooling: Pooling.None };

    /// <summary>Full blocks that a sequence could share: its last known token is computed in any case.</summary>
    static int MostShared(SequenceRun run) => Math.Min(run.Tokens.Count - 1, run.Lasting) / BlockSize;

    /// <summary>Whether the block after those in memory is on disk.</summary>
    bool IsOnDisk(SequenceRun run, PrefixMatch match) =>
        disk is not null && IsCacheable(run) && match.Blocks.Count < MostShared(run) && disk.Has(run.Keys.Of((match.Blocks.Count + 1) * BlockSize));

    PrefixMatch Find(SequenceRun run)
    {
        List<int> blocks = [];
        var (most, rest) = (MostShared(run), run.Lasting == run.Tokens.Count ? (run.Tokens.Count - 1) % BlockSize : 0);
        while (blocks.Count < most && pool.Find(run.Keys.Of((blocks.Count + 1) * BlockSize)) is { } block) blocks.Add(block);
        List<FullBlock>? lacking = null;
        // They are filled together, so all from the same layer on.
        for (var next = blocks.Count; next < most && pool.FindLacking(run.Keys.Of((next + 1) * BlockSize)) is { } block; next++)
        {
            if (lacking is [var first, ..] && first.Fill.From != block.Fill.From) break;
            (lacking ??= []).Add(block);
        }
        return new PrefixMatch(blocks, blocks.Count == most && rest > 0 ? pool.Find(run.Keys.Of(run.Tokens.Count)) : null) { Lacking = lacking ?? [] };
    }

    PrefixCacheKey? LastUnderWay(SequenceRun run)
    {
        if (_underWay.Count == 0 && disk is not { Restoring: > 0 }) return null;
        PrefixCacheKey? last = null;
        foreach (var prefix in Prefixes(run, BlockSize, run.Lasting))
        {
            if (pool.Find(prefix) is not null) continue;
            if (!IsUnderWay(prefix, run)) break;
            last = prefix;
        }
        return last;
    }

    bool IsUnderWay(PrefixCacheKey prefix, SequenceRun awaiting)
        => (_underWay.TryGetValue(prefix, out var other) && !other.Paused && other.Priority <= awaiting.Priority) || disk?.IsRestoring(prefix) == true;

    static IEnumerable<PrefixCacheKey> Unpublished(SequenceRun run) => Prefixes(run, (run.PublishedBlocks + 1) * BlockSize, run.PartialEnd);

    static IEnumerable<PrefixCacheKey> Prefixes(SequenceRun run, int firstEnd, int? partialEnd)
    {
        for (var end = firstEnd; end <= run.Lasting; end += BlockSize) yield return run.Keys.Of(end);
        if (partialEnd is { } partial) yield return run.Keys.Of(partial);
    }

    bool TryTake(SequenceRun run, PrefixMatch match, int spare)
    {
        run.Blocks.AddRange(match.Blocks);
        foreach (var lacking in match.Lacking) run.Blocks.Add(lacking.Block);
        foreach (var block in run.Blocks) pool.Share(block);
        if (match.Partial is { } held) pool.Share(held);   // or it could be given out a line below
        var own = KvBlock.CountFor(run.Tokens.Count) - run.Blocks.Count;
        var taken = own + spare <= pool.Available && pool.TryAllocate(own, run.Blocks);
        if (match.Partial is { } source) pool.Release(source);
        if (!taken)
        {
            pool.Release(run.Blocks);
            return false;
        }
        run.BlocksAnnounced = 0;
        run.Scheduled = match.Partial is null ? match.Blocks.Count * BlockSize : run.Tokens.Count - 1;
        (run.FillEnd, run.FillDepth, run.FillFrom) = match.Lacking.Count == 0 ? (0, 0, 0)
            : ((match.Blocks.Count + match.Lacking.Count) * BlockSize, match.Lacking.Max(lacking => lacking.Fill.Depth), match.Lacking[0].Fill.From);
        run.Copy = match.Partial is { } from ? new BlockCopy(from, run.Blocks[match.Blocks.Count]) : null;
        run.CopiedFrom = match.Partial is { } origin ? (run.Keys.Of(run.Tokens.Count), origin) : null;
        return true;
    }

    void Publish(SequenceRun run, int end, ulong step)
    {
        var (key, block) = (run.Keys.Of(end), run.Blocks[(end - 1) / BlockSize]);
        BlockFill? fill = end % BlockSize > 0 ? null : new BlockFill(step, run.DepthAt(end - 1), run.FromAt(end - 1));
        if (pool.Publish(block, key, fill) && fill is not null) disk?.Fill(block, key);
        EndUnderWay(run, key);
    }

    void EndUnderWay(SequenceRun run, PrefixCacheKey prefix)
    {
        if (_underWay.TryGetValue(prefix, out var other) && other == run) _underWay.Remove(prefix);
    }

    /// <summary>What of a sequence's KV is there already.</summary>
    /// <param name="Blocks">Full blocks from its beginning, to be shared.</param>
    /// <param name="Partial">The block after them, if it holds all known tokens but the last: to be copied, since the sequence will write to it.</param>
    readonly record struct PrefixMatch(IReadOnlyList<int> Blocks, int? Partial)
    {
        public static PrefixMatch None { get; } = new([], null) { Lacking = [] };

        /// <summary>Full blocks after <see cref="Blocks"/> that lack their content in some layers: to be filled.</summary>
        public required IReadOnlyList<FullBlock> Lacking { get; init; }
    }
}

/// <summary>Positions of sequences that went on in another view, by how their KV came to be there.</summary>
/// <param name="Kept">Nothing had to be computed.</param>
/// <param name="Filled">Computed by the stages up to the last that lacked them, from the first or from a journal on.</param>
/// <param name="Computed">By all stages.</param>
public readonly record struct CarriedPositions(long Kept, long Filled, long Computed)
{
    /// <param name="run">Which has just been given its blocks.</param>
    internal CarriedPositions With(SequenceRun run)
    {
        var filled = Math.Max(0, run.FillEnd - run.Scheduled);
        return new(Kept + run.Scheduled, Filled + filled, Computed + run.Tokens.Count - run.Scheduled - filled);
    }
}
