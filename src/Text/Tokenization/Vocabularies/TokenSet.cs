using System.Text;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>All tokens of a model, from whatever file they were read: by id, by text and by written form. Immutable.</summary>
sealed class TokenSet
{
    readonly int[] _byteIds;
    readonly TokenSpelling _spelling;
    readonly Dictionary<string, int> _addedIds;

    /// <param name="vocabulary">The tokens by id.</param>
    /// <param name="plain">The tokens that plain text can become.</param>
    /// <param name="byteIds">The token of each byte. Shape [256].</param>
    /// <param name="spelling">How the file writes normal tokens.</param>
    /// <param name="added">The added tokens; no two have the same written form.</param>
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

    /// <summary>Whether the vocabulary writes a space as U+2581.</summary>
    public bool MarksSpaces => _spelling is TokenSpelling.SentencePiece;

    /// <summary>The token of a byte.</summary>
    public int ByteId(byte value) => _byteIds[value];

    /// <summary>The id of a token from its written form in the vocabulary file; null if there is none.</summary>
    public int? Find(string written)
    {
        if (_addedIds.TryGetValue(written, out var added)) return added;
        var bytes = Encoding.UTF8.GetBytes(written);
        if (TokenSpellings.TryParseByte(bytes, out var value) && Vocabulary.KindOf(ByteId(value)) is TokenKind.Byte) return ByteId(value);
        return FindPlain(bytes);
    }

    /// <summary>Like <see cref="Find"/>, but only among the tokens that plain text can become.</summary>
    public int? FindPlain(string written) => FindPlain(Encoding.UTF8.GetBytes(written));

    int? FindPlain(ReadOnlySpan<byte> written)
    {
        var raw = new byte[written.Length];
        return _spelling.TryDecode(written, raw, out var length) && Plain.TryFind(raw.AsSpan(0, length), out var id)
            && Vocabulary.KindOf(id) is not TokenKind.Unused ? id : null;
    }
}

/// <summary>The ids that have a special meaning in a model.</summary>
sealed record SpecialIds
{
    public int? Bos { get; init; }

    public int? Eos { get; init; }

    /// <summary>Generation stops after any of these ids.</summary>
    public IReadOnlySet<int> Stops { get; init; } = new HashSet<int>();

    /// <summary>The ids that the model wants before a text: bos, or none.</summary>
    public int[] Before { get; init; } = [];

    /// <summary>The ids that the model wants after a text: usually none.</summary>
    public int[] After { get; init; } = [];
}

/// <summary>
/// Tokens that end a generation because of their written form: many model files name only one of theirs as eos.
/// The names are the ones that llama.cpp knows for models of Llama's architecture (<c>llama-vocab.cpp</c>, special_eog_ids), and Llama 4's.
/// </summary>
static class StopTokens
{
    static readonly HashSet<string> Names =
    [
        "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<EOT>", "</s>",
    ];

    public static IEnumerable<int> Of(IEnumerable<AddedToken> tokens) =>
        tokens.Where(token => token.IsSpecial && IsStop(token.Written)).Select(token => token.Id);

    public static bool IsStop(string written) => written.StartsWith('<') && Names.Contains(written);
}
