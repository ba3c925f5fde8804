namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What of a sequence's KV is there already.</summary>
/// <param name="Blocks">Full blocks from its beginning, to be shared.</param>
/// <param name="Partial">The block after them, if it holds all known tokens but the last: to be copied, since the sequence will write to it.</param>
readonly record struct PrefixMatch(IReadOnlyList<int> Blocks, int? Partial)
{
    public static PrefixMatch None { get; } = new([], null);
}
