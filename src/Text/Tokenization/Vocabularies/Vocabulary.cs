namespace LlamaCluster.Text.Tokenization.Vocabularies;

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

/// <summary>A token's kind and where its bytes are in the vocabulary's one array of bytes.</summary>
readonly record struct VocabularyEntry(int Start, int Length, TokenKind Kind);

/// <summary>What a token of a vocabulary is for. The numbers are those of GGUF's <c>tokenizer.ggml.token_type</c> and of SentencePiece.</summary>
enum TokenKind : byte
{
    /// <summary>There is no token of this id.</summary>
    None = 0,

    /// <summary>A piece of text.</summary>
    Normal = 1,

    /// <summary>Stands for what a vocabulary cannot express; never produced here, since every byte has a token.</summary>
    Unknown = 2,

    /// <summary>A mark such as bos or end of turn: recognised in text only where asked for, and not part of the text a user sees.</summary>
    Control = 3,

    /// <summary>Text that is always one token, cut out before anything else.</summary>
    UserDefined = 4,

    /// <summary>Fills up a vocabulary; never produced and without text.</summary>
    Unused = 5,

    /// <summary>One raw byte, written <c>&lt;0x0A&gt;</c>.</summary>
    Byte = 6,
}

/// <summary>A list of byte strings in one array: hundreds of thousands of tokens without an object each.</summary>
sealed class ByteStrings
{
    readonly List<int> _ends = [];
    byte[] _bytes = new byte[1 << 16];

    public int Count => _ends.Count;

    public ReadOnlySpan<byte> this[int index] => _bytes.AsSpan(StartOf(index)..EndOf(index));

    int Used => _ends.Count == 0 ? 0 : _ends[^1];

    public void Add(ReadOnlySpan<byte> text)
    {
        text.CopyTo(Reserve(text.Length));
        Commit(text.Length);
    }

    /// <summary>Room for a string of at most so many bytes; <see cref="Commit"/> adds it.</summary>
    public Span<byte> Reserve(int maxLength)
    {
        var needed = checked(Used + maxLength);
        if (needed > _bytes.Length) Array.Resize(ref _bytes, (int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _bytes.Length)));
        return _bytes.AsSpan(Used, maxLength);
    }

    public void Commit(int length) => _ends.Add(Used + length);

    int StartOf(int index) => index == 0 ? 0 : _ends[index - 1];

    Index EndOf(int index) => _ends[index];
}
