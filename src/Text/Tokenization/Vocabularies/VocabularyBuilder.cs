using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>
/// Collects the tokens of a vocabulary file, in any order, and refuses what cannot be one: ids out of range or given twice,
/// tokens without end, two tokens for one text.
/// </summary>
/// <param name="field">What the tokens are read from, for messages.</param>
/// <param name="error">Makes an error that names the file, from a message that starts with a field.</param>
sealed class VocabularyBuilder(TokenSpelling spelling, string field, Func<string, ModelFormatException> error)
{
    /// <summary>Several times the largest vocabulary there is.</summary>
    const int MaxTokens = 1 << 22;

    const int MaxTokenBytes = 1 << 16;

    readonly List<VocabularyEntry> _entries = [];
    readonly List<TokenKey> _keys = [];
    byte[] _bytes = new byte[1 << 16];
    int _used;

    /// <summary>The highest id so far plus one.</summary>
    public int Count => _entries.Count;

    /// <summary>Adds a token that the vocabulary file lists.</summary>
    public void Add(int id, ReadOnlySpan<byte> written, TokenKind kind)
    {
        if (id < 0 || id >= MaxTokens) throw error($"{field}: {Quote(written)} has id {id}; ids must be from 0 to {MaxTokens - 1}");
        if (KindOf(id) is not TokenKind.None) throw error($"{field}: {Quote(written)} has id {id}, which another token has too");
        Put(id, kind, kind switch
        {
            TokenKind.Normal => PutNormal(id, written),
            TokenKind.Byte => PutByte(id, written),
            TokenKind.Unused => 0,
            _ => PutRaw(written),
        });
    }

    /// <summary>
    /// Adds a token that is cut out of text as it is written, or makes one of a token of the vocabulary. What the vocabulary's
    /// merges say about a token goes on unless it is special.
    /// </summary>
    public void Overlay(AddedToken token)
    {
        if (token.Id < 0 || token.Id >= MaxTokens)
            throw error($"{field}: {ErrorText.Quote(token.Written)} has id {token.Id}; ids must be from 0 to {MaxTokens - 1}");
        var written = Encoding.UTF8.GetBytes(token.Written);
        if (KindOf(token.Id) is not TokenKind.None && !IsWritten(_entries[token.Id], written))
            throw error($"{field}: token {token.Id} is not {ErrorText.Quote(token.Written)}, as the list of added tokens has it");
        var length = PutRaw(written);
        Put(token.Id, token.IsSpecial ? TokenKind.Control : TokenKind.UserDefined, length);
    }

    public TokenKind KindOf(int id) => id >= 0 && id < _entries.Count ? _entries[id].Kind : TokenKind.None;

    public Vocabulary Build(out TokenIndex plain, out int[] byteIds)
    {
        if (_entries.Count == 0) throw error($"{field} is empty");
        var vocabulary = new Vocabulary(_bytes, [.. _entries]);
        _keys.RemoveAll(key => KindOf(key.Id) is not (TokenKind.Normal or TokenKind.UserDefined));
        plain = TokenIndex.Create(_bytes, [.. _keys], out var duplicate);
        if (duplicate is var (first, second))
            throw error($"{field}: tokens {first} and {second} are the same, {Quote(vocabulary.BytesOf(first).Span)}");
        byteIds = ByteIds(vocabulary, plain);
        return vocabulary;
    }

    bool IsWritten(VocabularyEntry entry, ReadOnlySpan<byte> written)
    {
        var bytes = _bytes.AsSpan(entry.Start, entry.Length);
        var raw = new byte[written.Length];
        return written.SequenceEqual(bytes) || spelling.TryDecode(written, raw, out var length) && bytes.SequenceEqual(raw.AsSpan(0, length));
    }

    /// <summary>What no text is written as stays as it is, for decoding only.</summary>
    int PutNormal(int id, ReadOnlySpan<byte> written)
    {
        Reserve(written);
        if (!spelling.TryDecode(written, _bytes.AsSpan(_used), out var length)) return PutRaw(written);
        if (length > 0) _keys.Add(new TokenKey(_used, length, id));
        return length;
    }

    int PutByte(int id, ReadOnlySpan<byte> written)
    {
        if (!TokenSpellings.TryParseByte(written, out var value))
            throw error($"{field}: token {id} is of the byte type but written {Quote(written)}; expected the form '<0x0A>'");
        return PutRaw([value]);
    }

    int PutRaw(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes);
        bytes.CopyTo(_bytes.AsSpan(_used));
        return bytes.Length;
    }

    void Put(int id, TokenKind kind, int length)
    {
        while (_entries.Count <= id) _entries.Add(default);
        _entries[id] = new VocabularyEntry(_used, length, kind);
        _used += length;
    }

    void Reserve(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxTokenBytes) throw error($"{field}: a token has {bytes.Length} bytes; at most {MaxTokenBytes} are allowed");
        if (bytes.Length > Array.MaxLength - _used) throw error($"{field}: all tokens together are longer than {Array.MaxLength} bytes");
        var needed = _used + bytes.Length;
        if (needed > _bytes.Length) Array.Resize(ref _bytes, (int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _bytes.Length)));
    }

    int[] ByteIds(Vocabulary vocabulary, TokenIndex plain)
    {
        var ids = new int[256];
        Array.Fill(ids, -1);
        for (var id = 0; spelling is not TokenSpelling.ByteLevel && id < vocabulary.Count; id++)
            if (vocabulary.KindOf(id) is TokenKind.Byte) ids[vocabulary.BytesOf(id).Span[0]] = id;
        for (var value = 0; spelling is TokenSpelling.ByteLevel && value < 256; value++)
            if (plain.TryFind([(byte)value], out var id)) ids[value] = id;
        if (Array.IndexOf(ids, -1) is >= 0 and var missing)
            throw error($"{field} has no token for byte 0x{missing:X2}; only vocabularies in which every byte has a token are supported");
        return ids;
    }

    static string Quote(ReadOnlySpan<byte> text) => ErrorText.Quote(Encoding.UTF8.GetString(text[..Math.Min(text.Length, 200)]));
}
