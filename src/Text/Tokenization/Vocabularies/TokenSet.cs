using System.Text;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

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

/// <summary>The ids that a model gives a meaning of their own.</summary>
sealed record SpecialIds
{
    public int? Bos { get; init; }

    public int? Eos { get; init; }

    /// <summary>Generation stops after any of them.</summary>
    public IReadOnlySet<int> Stops { get; init; } = new HashSet<int>();

    /// <summary>What the model asks for in front of a text: bos, or nothing.</summary>
    public int[] Before { get; init; } = [];

    /// <summary>What the model asks for after a text: usually nothing.</summary>
    public int[] After { get; init; } = [];
}

/// <summary>
/// Tokens that end a generation because of how they are written: many model files name only one of theirs as eos.
/// The names are those that llama.cpp knows for models of Llama's architecture (<c>llama-vocab.cpp</c>, special_eog_ids).
/// </summary>
static class StopTokens
{
    static readonly HashSet<string> Names =
    [
        "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<EOT>", "</s>",
    ];

    public static IEnumerable<int> Of(IEnumerable<AddedToken> tokens) => tokens.Where(token => token.IsSpecial && IsStop(token.Written)).Select(token => token.Id);

    public static bool IsStop(string written) => written.StartsWith('<') && Names.Contains(written);
}
