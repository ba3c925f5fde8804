using System.Runtime.InteropServices;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// What all tokenizers share: added tokens are cut out of the text, the rest is encoded piece by piece, and bos and eos are added at
/// the ends. Bos is not added to a text that already starts with it as a special token, because chat templates write bos themselves;
/// the same holds for eos.
/// </summary>
abstract class Tokenizer : ITokenizer
{
    readonly SpecialIds _special;
    readonly AddedTokenMatcher _alwaysAdded;
    readonly AddedTokenMatcher _allAdded;

    protected Tokenizer(TokenSet tokens, SpecialIds special)
    {
        _special = special;
        _alwaysAdded = new AddedTokenMatcher(tokens.Added.Where(token => !token.IsSpecial));
        _allAdded = new AddedTokenMatcher(tokens.Added);
        Tokens = tokens;
    }

    public int VocabularySize => Tokens.Vocabulary.Count;

    public int? BosId => _special.Bos;

    public int? EosId => _special.Eos;

    public IReadOnlySet<int> StopIds => _special.Stops;

    internal TokenSet Tokens { get; }

    /// <summary>Where <see cref="EncodePlain"/> adds a space that <see cref="Decode"/> has to remove.</summary>
    protected abstract SpacePrefix SpacePrefix { get; }

    public IEnumerable<string> SpecialWords => Tokens.Added.Where(token => token.IsSpecial).Select(token => token.Written);

    public void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial) =>
        Encode(text, ids, addSpecial, parseSpecial ? _allAdded : _alwaysAdded, []);

    public void EncodePrompt(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, ReadOnlySpan<int> words) =>
        Encode(text, ids, addSpecial, _allAdded, words);

    void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, AddedTokenMatcher added, ReadOnlySpan<int> words)
    {
        var first = ids.Count;
        var done = 0;
        while (added.TryFindNext(text, done, words, out var match))
        {
            if (match.Start > done) EncodePlain(text[done..match.Start], done == 0, ids);
            ids.Add(match.Id);
            done = match.End;
        }
        if (done < text.Length) EncodePlain(text[done..], done == 0, ids);
        if (addSpecial) Surround(ids, first);
    }

    public ReadOnlyMemory<byte> BytesOf(int id) => Tokens.Vocabulary.BytesOf(id);

    public bool IsControl(int id) => Tokens.Vocabulary.KindOf(id) is TokenKind.Control or TokenKind.Unknown;

    public void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl)
    {
        var afterPrefix = SpacePrefix is not SpacePrefix.Never;
        foreach (var id in ids)
        {
            var isControl = IsControl(id);
            var bytes = BytesOf(id).Span;
            if (isControl || Tokens.Vocabulary.KindOf(id) is TokenKind.UserDefined)
            {
                if (!isControl || includeControl) text.AddRange(bytes);
                afterPrefix = SpacePrefix is SpacePrefix.EachSegment || afterPrefix && isControl;
                continue;
            }
            text.AddRange(afterPrefix && bytes.StartsWith(" "u8) ? bytes[1..] : bytes);
            afterPrefix = false;
        }
    }

    public int? FindToken(string written) => Tokens.Find(written);

    /// <summary>Appends the ids of text that contains no added tokens.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="startsText">Whether the text stands at the very start.</param>
    protected abstract void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids);

    void Surround(List<int> ids, int first)
    {
        if (!CollectionsMarshal.AsSpan(ids)[first..].StartsWith(_special.Before)) ids.InsertRange(first, _special.Before);
        if (!CollectionsMarshal.AsSpan(ids)[first..].EndsWith(_special.After)) ids.AddRange(_special.After);
    }
}
