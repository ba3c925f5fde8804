using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>The full blocks of a view that is over, the most wanted first.</summary>
/// <param name="Awaited">For so many of them, from the first on, sequences wait.</param>
public sealed record FullBlocks(IReadOnlyList<int> Ids, int Awaited)
{
    /// <summary>More would not fit in a message.</summary>
    const int Most = 1 << 18;

    public static FullBlocks None { get; } = new([], 0);

    /// <summary>
    /// Those of the sequences that wait, from each one's beginning on, since a block is of use only with all before it. Then what others may come back for,
    /// what is to be used again last first.
    /// </summary>
    public static FullBlocks Of(KvBlockPool pool, IEnumerable<SequenceRun> runs)
    {
        List<int> ids = [];
        HashSet<int> known = [];
        var lacking = pool.Full.Where(full => full.Fill.IsLacking).Select(full => full.Block).ToHashSet();
        foreach (var run in runs)
            for (var end = KvBlock.Positions; run.Keys.AreKnown && end < run.Tokens.Count && pool.Find(run.Keys.Of(end)) is { } block; end += KvBlock.Positions)
                if (known.Add(block)) ids.Add(block);
        var awaited = ids.Count;
        ids.AddRange(pool.Full.Reverse().Select(full => full.Block).Where(block => !lacking.Contains(block) && known.Add(block)));
        return ids.Count <= Most ? new FullBlocks(ids, awaited) : new FullBlocks(ids[..Most], Math.Min(awaited, Most));
    }
}
