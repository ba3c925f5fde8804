namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>
/// A stretch of the text that is one token so far; a node of a doubly linked list. Merging makes the left of two symbols
/// longer and the right one empty.
/// </summary>
struct Symbol
{
    /// <summary>-1 for a character without a token of its own.</summary>
    public int Id;

    /// <summary>In bytes of the text.</summary>
    public int Start;

    public int Length;

    /// <summary>-1 at the start.</summary>
    public int Previous;

    /// <summary>-1 at the end.</summary>
    public int Next;
}
