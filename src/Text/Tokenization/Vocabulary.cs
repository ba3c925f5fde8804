namespace LlamaCluster.Text.Tokenization;

/// <summary>Every id of a model with what it is and the exact bytes it stands for. Immutable.</summary>
sealed class Vocabulary
{
    readonly byte[] _bytes;
    readonly VocabularyEntry[] _entries;

    /// <param name="entries">By id.</param>
    public Vocabulary(byte[] bytes, VocabularyEntry[] entries)
    {
        _bytes = bytes;
        _entries = entries;
    }

    /// <summary>The highest id plus one.</summary>
    public int Count => _entries.Length;

    /// <summary><see cref="TokenKind.None"/> for an id that is out of range or has no token.</summary>
    public TokenKind KindOf(int id) => (uint)id < (uint)_entries.Length ? _entries[id].Kind : TokenKind.None;

    /// <summary>Empty for an id without a token, and for an unused one.</summary>
    public ReadOnlyMemory<byte> BytesOf(int id) =>
        (uint)id < (uint)_entries.Length ? _bytes.AsMemory(_entries[id].Start, _entries[id].Length) : default;
}
