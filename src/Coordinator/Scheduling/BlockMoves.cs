using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// What is to be done with KV blocks and the workers' disks, by all workers alike: after the steps that were sent before, and before those that
/// come later.
/// </summary>
/// <param name="Spills">Blocks to be written as they are when their turn comes.</param>
/// <param name="Restores">Blocks to be read, which no sequence has until all workers have answered.</param>
/// <param name="Used">Keys that count as used just now, the last of them most recently: what was not used for longest is given up first.</param>
public sealed record BlockMoves(IReadOnlyList<DiskBlock> Spills, IReadOnlyList<BlockRestore> Restores, IReadOnlyList<PrefixCacheKey> Used)
{
    /// <summary>Restores that nobody waits for any more: nothing may be put into their blocks from now on.</summary>
    public IReadOnlyList<ulong> GivenUp { get; init; } = [];
}

/// <summary>A block in memory and what names its content on disk: the key of the prefix that fills it.</summary>
public readonly record struct DiskBlock(int Block, PrefixCacheKey Key);

/// <param name="Blocks">To be read in this order. Whoever builds on a block needs all before it.</param>
public sealed record BlockRestore(ulong Id, IReadOnlyList<DiskBlock> Blocks);

/// <summary>What a worker said of its disk.</summary>
/// <param name="Worker">From 0, in the order of the plan.</param>
public abstract record DiskReport(int Worker)
{
    /// <param name="Kept">There now.</param>
    /// <param name="Dropped">There no longer.</param>
    /// <param name="SpillsDone">So many spills are done with, in order, whether the blocks are kept or not.</param>
    public sealed record Changed(int Worker, IReadOnlyList<PrefixCacheKey> Kept, IReadOnlyList<PrefixCacheKey> Dropped, int SpillsDone) : DiskReport(Worker);

    /// <summary>Of a restore more is back than before, and more will come.</summary>
    public sealed record Restoring(int Worker) : DiskReport(Worker);

    /// <param name="Count">So many blocks of the restore are back, from the first on.</param>
    public sealed record Restored(int Worker, ulong Id, int Count) : DiskReport(Worker);
}
