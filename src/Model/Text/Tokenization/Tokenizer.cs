using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace LlamaCluster.Model.Text.Tokenization;

/// <summary>
/// What all tokenizers have in common: added tokens are cut out of the text, the rest is encoded piece by piece, and bos and
/// eos are put round it. Bos is not added to a text that has it in front already (recognised as a special token), and eos
/// likewise: chat templates write bos themselves.
/// </summary>
abstract class Tokenizer : ITokenizer
{
    readonly TokenizerParts _parts;
    readonly AddedTokenMatcher _alwaysAdded;
    readonly AddedTokenMatcher _allAdded;

    protected Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _alwaysAdded = new AddedTokenMatcher(parts.Added.Where(token => !token.IsSpecial));
        _allAdded = new AddedTokenMatcher(parts.Added);
    }

    public int VocabularySize => _parts.Vocabulary.Count;

    public int? BosId => _parts.Special.Bos;

    public int? EosId => _parts.Special.Eos;

    public IReadOnlySet<int> StopIds => _parts.Special.Stops;

    /// <summary>For each token that plain text can become.</summary>
    protected TokenIndex Plain => _parts.Plain;

    protected ReadOnlySpan<int> ByteIds => _parts.ByteIds;

    protected bool IgnoreMerges => _parts.IgnoreMerges;

    /// <summary>Where <see cref="EncodePlain"/> adds a space that <see cref="Decode"/> has to take away.</summary>
    protected abstract SpacePrefix SpacePrefix { get; }

    public void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial)
    {
        var first = ids.Count;
        var added = parseSpecial ? _allAdded : _alwaysAdded;
        var done = 0;
        while (added.TryFindNext(text, done, out var match))
        {
            if (match.Start > done) EncodePlain(text[done..match.Start], done == 0, ids);
            ids.Add(match.Id);
            done = match.End;
        }
        if (done < text.Length) EncodePlain(text[done..], done == 0, ids);
        if (addSpecial) Surround(ids, first);
    }

    public ReadOnlyMemory<byte> BytesOf(int id) => _parts.Vocabulary.BytesOf(id);

    public bool IsControl(int id) => _parts.Vocabulary.KindOf(id) is TokenKind.Control or TokenKind.Unknown;

    public void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl)
    {
        var afterPrefix = SpacePrefix is not SpacePrefix.Never;
        foreach (var id in ids)
        {
            var isControl = IsControl(id);
            var bytes = BytesOf(id).Span;
            if (isControl || _parts.Vocabulary.KindOf(id) is TokenKind.UserDefined)
            {
                if (!isControl || includeControl) text.AddRange(bytes);
                afterPrefix = SpacePrefix is SpacePrefix.EachSegment || afterPrefix && isControl;
                continue;
            }
            text.AddRange(afterPrefix && bytes.StartsWith(" "u8) ? bytes[1..] : bytes);
            afterPrefix = false;
        }
    }

    public int? FindToken(string written)
    {
        var bytes = Encoding.UTF8.GetBytes(written);
        if (bytes.Length == 0) return null;
        if (_allAdded.Find(bytes) is { } added) return added;
        if (TokenSpellings.TryParseByte(bytes, out var value) && _parts.Vocabulary.KindOf(ByteIds[value]) is TokenKind.Byte) return ByteIds[value];
        var raw = new byte[bytes.Length];
        return _parts.Spelling.TryDecode(bytes, raw, out var length) && Plain.TryFind(raw.AsSpan(0, length), out var id) ? id : null;
    }

    /// <summary>Appends the ids of text without added tokens in it.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="startsText">Nothing stands before it.</param>
    protected abstract void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids);

    void Surround(List<int> ids, int first)
    {
        var (before, after) = (_parts.Special.Before, _parts.Special.After);
        if (!CollectionsMarshal.AsSpan(ids)[first..].StartsWith(before)) ids.InsertRange(first, before);
        if (!CollectionsMarshal.AsSpan(ids)[first..].EndsWith(after)) ids.AddRange(after);
    }
}
