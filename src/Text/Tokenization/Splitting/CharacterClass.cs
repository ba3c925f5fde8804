namespace LlamaCluster.Text.Tokenization.Splitting;

/// <summary>What Llama 3's split expression tells characters apart by.</summary>
enum CharacterClass : byte
{
    /// <summary>None of the others: punctuation, symbols, marks, control characters, bytes that are not UTF-8.</summary>
    Other,

    /// <summary><c>\p{L}</c></summary>
    Letter,

    /// <summary><c>\p{N}</c></summary>
    Number,

    /// <summary><c>[\r\n]</c></summary>
    LineBreak,

    /// <summary><c>\s</c> without <c>[\r\n]</c></summary>
    Space,
}
