using System.Text;

namespace LlamaCluster.Text.Tokenization;

/// <summary>All tokens of a model, whichever file they were read from: by id, by text, and by how they are written. Immutable.</summary>
sealed class TokenSet
{
    readonly int[] _byteIds;
    readonly TokenSpelling _spelling;
    readonly Dictionary<string, int> _addedIds;

    /// <param name="plain">The tokens that plain text can become.</param>
    /// <param name="byteIds">The token of each byte. Shape [256].</param>
    /// <param name="added">No two are written alike.</param>
    public TokenSet(Vocabulary vocabulary, TokenIndex plain, TokenSpelling spelling, int[] byteIds, IReadOnlyList<AddedToken> added)
    {
        _byteIds = byteIds;
        _spelling = spelling;
        _addedIds = added.ToDictionary(token => token.Written, token => token.Id);
        Vocabulary = vocabulary;
        Plain = plain;
        Added = added;
    }

    public Vocabulary Vocabulary { get; }

    public TokenIndex Plain { get; }

    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>The token of a byte.</summary>
    public int ByteId(byte value) => _byteIds[value];

    /// <summary>The id of a token from its form in the vocabulary file; null if there is none.</summary>
    public int? Find(string written)
    {
        if (_addedIds.TryGetValue(written, out var added)) return added;
        var bytes = Encoding.UTF8.GetBytes(written);
        if (TokenSpellings.TryParseByte(bytes, out var value) && Vocabulary.KindOf(ByteId(value)) is TokenKind.Byte) return ByteId(value);
        return FindPlain(bytes);
    }

    /// <summary>As <see cref="Find"/>, among the tokens that plain text can become.</summary>
    public int? FindPlain(string written) => FindPlain(Encoding.UTF8.GetBytes(written));

    int? FindPlain(ReadOnlySpan<byte> written)
    {
        var raw = new byte[written.Length];
        return _spelling.TryDecode(written, raw, out var length) && Plain.TryFind(raw.AsSpan(0, length), out var id) ? id : null;
    }
}
