using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Gives sequences their blocks, and with them the KV that others have computed for the same tokens.
/// <para>
/// When may a block be found by others? When the step that fills it has been scheduled. Every stage carries out steps, and the ends of
/// sequences, in the order in which they were scheduled, so a sequence that begins in a later step finds the block filled there, even if the
/// first step is still under way here, and even if the one that computed it has been cancelled meanwhile. A step that fails
/// ends its view, and the pool with it. A step's own blocks are published after it is put together, so none is shared within it.
/// </para>
/// <para>
/// Only full blocks are shared, and nobody writes to those: a sequence's next position is never in one. Where prompts are equal to their
/// end (n choices of one prompt, or the same request again) everything but the last token is there, and the block in which it stands is
/// copied. The last known token is always computed, for its logits.
/// </para>
/// </summary>
sealed class SequenceBlocks(KvBlockPool pool, bool cachePrefixes)
{
    const int BlockSize = KvBlock.Positions;

    /// <summary>Prefixes that sequences which have begun are about to compute.</summary>
    readonly Dictionary<PrefixHash, Sequence> _underWay = [];

    /// <summary>Tokens that were looked for in the cache, in all.</summary>
    public long QueriedTokens { get; private set; }

    /// <summary>Of these, tokens that did not have to be computed.</summary>
    public long HitTokens { get; private set; }

    /// <summary>
    /// Whether another sequence, which does not come after this one in priority, is about to compute what this one could begin with: then it
    /// is cheaper to wait for the steps that do.
    /// </summary>
    public bool AwaitsPrefix(Sequence sequence)
    {
        if (sequence.AwaitedPrefix is not { } awaited || !IsUnderWay(awaited, sequence))
            sequence.AwaitedPrefix = IsCacheable(sequence) ? LastUnderWay(sequence) : null;
        return sequence.AwaitedPrefix is not null;
    }

    /// <summary>Gives a sequence blocks for all its known tokens, and lets it go on behind those whose KV is there.</summary>
    /// <param name="spare">Blocks that must be left for others.</param>
    public bool TryBegin(Sequence sequence, int spare)
    {
        var match = IsCacheable(sequence) ? Find(sequence) : PrefixMatch.None;
        // A copy takes a block more while it is made, which a sequence that needs all of them does not have.
        if (!TryTake(sequence, match, spare) && (match.Partial is null || !TryTake(sequence, match with { Partial = null }, spare))) return false;
        sequence.CachedTokens ??= sequence.Scheduled;
        if (!cachePrefixes) return true;
        if (IsCacheable(sequence)) (QueriedTokens, HitTokens) = (QueriedTokens + sequence.Tokens.Count, HitTokens + sequence.Scheduled);
        sequence.PublishedBlocks = sequence.Scheduled / BlockSize;
        sequence.PartialEnd = sequence.Tokens.Count % BlockSize > 1 ? sequence.Tokens.Count : null;
        foreach (var prefix in Unpublished(sequence))
            if (pool.Find(prefix) is null) _underWay.TryAdd(prefix, sequence);
        return true;
    }

    /// <summary>Sees to it that a sequence has blocks for so many positions.</summary>
    public bool TryGrow(Sequence sequence, int positions) => pool.TryAllocate(KvBlock.CountFor(positions) - sequence.Blocks.Count, sequence.Blocks);

    /// <summary>What has been scheduled of a sequence can be found from now on.</summary>
    public void Publish(Sequence sequence)
    {
        if (!cachePrefixes) return;
        for (; (sequence.PublishedBlocks + 1) * BlockSize <= sequence.Scheduled; sequence.PublishedBlocks++)
            Publish(sequence, (sequence.PublishedBlocks + 1) * BlockSize);
        if (sequence.PartialEnd is not { } end || end > sequence.Scheduled) return;
        Publish(sequence, end);
        sequence.PartialEnd = null;
    }

    /// <summary>Takes a sequence's blocks back, which may be before all was computed that it was given them for.</summary>
    public void Release(Sequence sequence)
    {
        if (_underWay.Count > 0)
            foreach (var prefix in Unpublished(sequence)) EndUnderWay(sequence, prefix);
        pool.Release(sequence.Blocks);
    }

    /// <summary>Scores of a prompt's tokens come from computing them.</summary>
    bool IsCacheable(Sequence sequence) => cachePrefixes && !sequence.Sampling.PromptLogprobs;

    PrefixMatch Find(Sequence sequence)
    {
        List<int> blocks = [];
        var (most, rest) = Math.DivRem(sequence.Tokens.Count - 1, BlockSize);
        while (blocks.Count < most && pool.Find(sequence.HashOf((blocks.Count + 1) * BlockSize)) is { } block) blocks.Add(block);
        return new PrefixMatch(blocks, blocks.Count == most && rest > 0 ? pool.Find(sequence.HashOf(sequence.Tokens.Count)) : null);
    }

    PrefixHash? LastUnderWay(Sequence sequence)
    {
        if (_underWay.Count == 0) return null;
        PrefixHash? last = null;
        foreach (var prefix in Prefixes(sequence, BlockSize, sequence.Tokens.Count))
        {
            if (pool.Find(prefix) is not null) continue;
            if (!IsUnderWay(prefix, sequence)) break;
            last = prefix;
        }
        return last;
    }

    bool IsUnderWay(PrefixHash prefix, Sequence awaiting) => _underWay.TryGetValue(prefix, out var other) && other.Priority <= awaiting.Priority;

    static IEnumerable<PrefixHash> Unpublished(Sequence sequence) => Prefixes(sequence, (sequence.PublishedBlocks + 1) * BlockSize, sequence.PartialEnd);

    static IEnumerable<PrefixHash> Prefixes(Sequence sequence, int firstEnd, int? partialEnd)
    {
        for (var end = firstEnd; end <= sequence.Tokens.Count; end += BlockSize) yield return sequence.HashOf(end);
        if (partialEnd is { } partial) yield return sequence.HashOf(partial);
    }

    bool TryTake(Sequence sequence, PrefixMatch match, int spare)
    {
        foreach (var block in match.Blocks) pool.Share(block);
        sequence.Blocks.AddRange(match.Blocks);
        if (match.Partial is { } held) pool.Share(held);   // or it could be given out right here
        var own = KvBlock.CountFor(sequence.Tokens.Count) - match.Blocks.Count;
        var taken = own + spare <= pool.Available && pool.TryAllocate(own, sequence.Blocks);
        if (match.Partial is { } source) pool.Release(source);
        if (!taken)
        {
            pool.Release(sequence.Blocks);
            return false;
        }
        sequence.BlocksAnnounced = 0;
        sequence.Scheduled = match.Partial is null ? match.Blocks.Count * BlockSize : sequence.Tokens.Count - 1;
        sequence.Copy = match.Partial is { } from ? new BlockCopy(from, sequence.Blocks[match.Blocks.Count]) : null;
        return true;
    }

    void Publish(Sequence sequence, int end)
    {
        var hash = sequence.HashOf(end);
        pool.Publish(sequence.Blocks[(end - 1) / BlockSize], hash);
        EndUnderWay(sequence, hash);
    }

    void EndUnderWay(Sequence sequence, PrefixHash prefix)
    {
        if (_underWay.TryGetValue(prefix, out var other) && other == sequence) _underWay.Remove(prefix);
    }
}
