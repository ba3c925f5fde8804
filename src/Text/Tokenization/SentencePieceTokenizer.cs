using System.Buffers;
using System.Text;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// SentencePiece's BPE with byte fallback, as in Llama 1 and 2: a space may be put in front, characters are merged over the whole
/// text, and a character without a token becomes the tokens of its bytes, as does invalid UTF-8. U+2581 in the text, with which such a
/// vocabulary writes a space, is taken for a space, and comes back as one; all else comes back exactly. SentencePiece, llama.cpp and
/// tokenizers do the same.
/// </summary>
/// <param name="wholeFirst">Whether a text that is a token becomes that token, whatever the merges say ("ignore_merges").</param>
sealed class SentencePieceTokenizer<TRule>(TokenSet tokens, SpecialIds special, TRule rule, SpaceRules spaces, bool wholeFirst = false)
    : Tokenizer(tokens, special)
    where TRule : struct, IMergeRule
{
    const byte Space = (byte)' ';

    // If no token has a space after another character, no merge crosses such a place, and words can be merged one by one.
    readonly bool _mergesStayInWords = !wholeFirst && !tokens.Plain.AnyHasSpaceWithin;

    protected override SpacePrefix SpacePrefix => spaces.Prefix;

    protected override void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids)
    {
        var hasMarks = Tokens.MarksSpaces && text.IndexOf(TokenSpellings.SpaceMark) >= 0;
        var wanted = spaces.Prefix is SpacePrefix.EachSegment || spaces.Prefix is SpacePrefix.TextStart && startsText;
        var startsWithSpace = text[0] == Space || hasMarks && text.StartsWith(TokenSpellings.SpaceMark);
        var isPrefixed = wanted && !(spaces.PrefixIfAbsent && startsWithSpace);
        if (!isPrefixed && !hasMarks)
        {
            EncodeWords(text, ids);
            return;
        }
        var copy = ArrayPool<byte>.Shared.Rent(text.Length + 1);
        var length = 0;
        if (isPrefixed) copy[length++] = Space;
        length += CopyWithSpaces(text, copy.AsSpan(length));
        EncodeWords(copy.AsSpan(0, length), ids);
        ArrayPool<byte>.Shared.Return(copy);
    }

    /// <summary>Copies a text with a space for each mark; returns the length of the copy.</summary>
    int CopyWithSpaces(ReadOnlySpan<byte> text, Span<byte> copy)
    {
        var length = 0;
        while (Tokens.MarksSpaces && text.IndexOf(TokenSpellings.SpaceMark) is >= 0 and var at)
        {
            text[..at].CopyTo(copy[length..]);
            copy[length + at] = Space;
            length += at + 1;
            text = text[(at + TokenSpellings.SpaceMark.Length)..];
        }
        text.CopyTo(copy[length..]);
        return length + text.Length;
    }

    void EncodeWords(ReadOnlySpan<byte> text, List<int> ids)
    {
        if (Tokens.Plain.HasUnused)
        {
            EncodeThroughUnused(text, ids);
            return;
        }
        var merger = new PairMerger<TRule>(rule);
        try
        {
            while (!text.IsEmpty)
            {
                var length = WordLength(text);
                EncodeWord(ref merger, text[..length], ids);
                text = text[length..];
            }
        }
        finally
        {
            merger.Dispose();
        }
    }

    int WordLength(ReadOnlySpan<byte> text)
    {
        if (!spaces.SplitsWords && !_mergesStayInWords) return text.Length;
        for (var at = 1; at < text.Length; at++)
        {
            if (text[at..].IndexOf(Space) is >= 0 and var skipped) at += skipped;
            else break;
            if (spaces.SplitsWords || text[at - 1] != Space) return at;
        }
        return text.Length;
    }

    void EncodeWord(ref PairMerger<TRule> merger, ReadOnlySpan<byte> word, List<int> ids)
    {
        if (wholeFirst && Tokens.Plain.TryFind(word, out var whole))
        {
            ids.Add(whole);
            return;
        }
        merger.Begin(word.Length);
        AppendCharacters(ref merger, word);
        merger.Merge(word);
        foreach (ref readonly var symbol in merger.Symbols)
        {
            if (symbol.Length == 0) continue;
            if (symbol.Id >= 0) ids.Add(symbol.Id);
            else AddBytes(word.Slice(symbol.Start, symbol.Length), ids);
        }
    }

    // SentencePiece merges unused pieces like others and splits those that are left, as the pair that was found for them last. The whole
    // text is merged at once, because that pair may have been found anywhere in it.
    void EncodeThroughUnused(ReadOnlySpan<byte> text, List<int> ids)
    {
        var splits = new Dictionary<int, int>();
        var open = new Stack<(int Start, int Length, int Id)>();
        var merger = new PairMerger<MergesThroughUnused<TRule>>(new MergesThroughUnused<TRule>(rule, Tokens.Vocabulary, splits));
        try
        {
            merger.Begin(text.Length);
            AppendCharacters(ref merger, text);
            merger.Merge(text);
            foreach (ref readonly var symbol in merger.Symbols)
            {
                if (symbol.Length == 0) continue;
                open.Push((symbol.Start, symbol.Length, symbol.Id));
                while (open.TryPop(out var piece))
                {
                    var isUnused = Tokens.Vocabulary.KindOf(piece.Id) is TokenKind.Unused;
                    if (isUnused && splits.TryGetValue(piece.Id, out var left))
                    {
                        open.Push(PieceAt(text, piece.Start + left, piece.Length - left));
                        open.Push(PieceAt(text, piece.Start, left));
                    }
                    else if (piece.Id >= 0 && !isUnused) ids.Add(piece.Id);
                    else AddBytes(text.Slice(piece.Start, piece.Length), ids);
                }
            }
        }
        finally
        {
            merger.Dispose();
        }
    }

    (int Start, int Length, int Id) PieceAt(ReadOnlySpan<byte> text, int start, int length) =>
        (start, length, Tokens.Plain.TryFind(text.Slice(start, length), out var id) ? id : -1);

    void AddBytes(ReadOnlySpan<byte> text, List<int> ids)
    {
        foreach (var value in text) ids.Add(Tokens.ByteId(value));
    }

    void AppendCharacters<T>(ref PairMerger<T> merger, ReadOnlySpan<byte> word) where T : struct, IMergeRule
    {
        for (var at = 0; at < word.Length;)
        {
            Rune.DecodeFromUtf8(word[at..], out _, out var width);
            merger.Append(Tokens.Plain.TryFind(word.Slice(at, width), out var id) ? id : -1, at, width);
            at += width;
        }
    }
}

/// <summary>Where a SentencePiece vocabulary adds a space, so that the first word looks like any other.</summary>
enum SpacePrefix
{
    Never,

    /// <summary>At the start of the text, unless it starts with an added token.</summary>
    TextStart,

    /// <summary>At the start of the text and after each added token.</summary>
    EachSegment,
}

/// <summary>How a SentencePiece vocabulary treats spaces.</summary>
/// <param name="Prefix">Where a space is added.</param>
/// <param name="PrefixIfAbsent">
/// Whether no space is added to a text that starts with one. The text with that space and the text without it then have the same ids,
/// and decoding gives the text without.
/// </param>
/// <param name="SplitsWords">Whether a token can have a space only as its first character.</param>
readonly record struct SpaceRules(SpacePrefix Prefix, bool PrefixIfAbsent = false, bool SplitsWords = false);

/// <summary>
/// Two symbols merge if their joined text is a token; the token with the highest score goes first. SentencePiece does so
/// (https://github.com/google/sentencepiece, <c>bpe_model.cc</c>), and llama.cpp with GGUF's scores.
/// </summary>
readonly struct MergesByScore(TokenIndex tokens, uint[] priorities) : IMergeRule
{
    public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id)
    {
        var found = tokens.TryFind(text.Slice(left.Start, left.Length + right.Length), out id);
        priority = found ? priorities[id] : 0;
        return found;
    }

    /// <summary>An integer that is lower for a higher score. The score must be finite.</summary>
    public static uint Priority(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score + 0f); // + 0: minus zero is zero
        var ascending = (int)bits < 0 ? ~bits : bits | 0x8000_0000;
        return ~ascending;
    }
}

/// <summary>Merges as another rule does, and notes for each unused token how the pair that was found for it last is divided.</summary>
/// <param name="splits">Gets, by the id of an unused token, the length of the left part in bytes.</param>
readonly struct MergesThroughUnused<TRule>(TRule rule, Vocabulary vocabulary, Dictionary<int, int> splits) : IMergeRule
    where TRule : struct, IMergeRule
{
    public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id)
    {
        if (!rule.TryMerge(text, left, right, out priority, out id)) return false;
        if (vocabulary.KindOf(id) is TokenKind.Unused) splits[id] = left.Length;
        return true;
    }
}
