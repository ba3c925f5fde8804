namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>Two tokens merge if the list of merges says so; the earlier in the list goes first.</summary>
readonly struct MergesByRank(MergeTable table) : IMergeRule
{
    public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id) =>
        table.TryFind(left.Id, right.Id, out priority, out id);
}
