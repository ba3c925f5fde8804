namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>Says which neighbours become one token, and which of several pairs goes first.</summary>
interface IMergeRule
{
    /// <param name="text">The text that the symbols are stretches of.</param>
    /// <param name="priority">The pair with the least goes first; of equals, the leftmost.</param>
    /// <param name="id">The token that the two become.</param>
    bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id);
}
