using System.Buffers;
using System.Text;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// SentencePiece's BPE with byte fallback, as Llama 1 and 2 have it: a space may be put in front, characters are merged over the
/// whole text, and a character without a token becomes the tokens of its bytes. A character U+2581 in the text, which SentencePiece
/// itself would take for a space, becomes its bytes too, so that any bytes come back exactly; invalid UTF-8 likewise.
/// </summary>
/// <param name="wholeFirst">A text that is a token becomes it, whatever the merges say ("ignore_merges").</param>
sealed class SentencePieceTokenizer<TRule>(TokenSet tokens, SpecialIds special, TRule rule, SpaceRules spaces, bool wholeFirst = false)
    : Tokenizer(tokens, special)
    where TRule : struct, IMergeRule
{
    const byte Space = (byte)' ';

    // Where no token goes on with a space after something else, no merge crosses such a border: words are merged one by one.
    readonly bool _mergesStayInWords = !wholeFirst && !tokens.Plain.AnyHasSpaceWithin;

    protected override SpacePrefix SpacePrefix => spaces.Prefix;

    protected override void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids)
    {
        var wanted = spaces.Prefix is SpacePrefix.EachSegment || spaces.Prefix is SpacePrefix.TextStart && startsText;
        if (!wanted || spaces.PrefixIfAbsent && text[0] == Space)
        {
            EncodeWords(text, ids);
            return;
        }
        var prefixed = ArrayPool<byte>.Shared.Rent(text.Length + 1);
        prefixed[0] = Space;
        text.CopyTo(prefixed.AsSpan(1));
        EncodeWords(prefixed.AsSpan(0, text.Length + 1), ids);
        ArrayPool<byte>.Shared.Return(prefixed);
    }

    void EncodeWords(ReadOnlySpan<byte> text, List<int> ids)
    {
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
            else foreach (var value in word.Slice(symbol.Start, symbol.Length)) ids.Add(Tokens.ByteId(value));
        }
    }

    void AppendCharacters(ref PairMerger<TRule> merger, ReadOnlySpan<byte> word)
    {
        for (var at = 0; at < word.Length;)
        {
            Rune.DecodeFromUtf8(word[at..], out _, out var width);
            merger.Append(Tokens.Plain.TryFind(word.Slice(at, width), out var id) ? id : -1, at, width);
            at += width;
        }
    }
}

/// <summary>Where a SentencePiece vocabulary puts a space that the text does not have, so that its first word looks like any other.</summary>
enum SpacePrefix
{
    Never,

    /// <summary>At the start of the text, unless it starts with an added token.</summary>
    TextStart,

    /// <summary>At the start of the text and after each added token.</summary>
    EachSegment,
}

/// <summary>What a SentencePiece vocabulary does about spaces.</summary>
/// <param name="PrefixIfAbsent">
/// No prefix where the text starts with a space already. A text with and one without that space then have the same ids, and
/// decoding gives the one without.
/// </param>
/// <param name="SplitsWords">No token has a space other than as its first character.</param>
readonly record struct SpaceRules(SpacePrefix Prefix, bool PrefixIfAbsent = false, bool SplitsWords = false);

/// <summary>
/// Two symbols merge if their text together is a token; the one with the highest score goes first. What SentencePiece does
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

    /// <summary>An integer that is the less the higher the score is. The score must be finite.</summary>
    public static uint Priority(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score + 0f); // + 0: minus zero is zero
        var ascending = (int)bits < 0 ? ~bits : bits | 0x8000_0000;
        return ~ascending;
    }
}
