using System.Buffers;
using System.Text;
using LlamaCluster.Model.Text.Tokenization.Merging;

namespace LlamaCluster.Model.Text.Tokenization;

/// <summary>
/// SentencePiece's BPE with byte fallback, as Llama 1 and 2 have it: a space may be put in front, characters are merged over the
/// whole text, and a character without a token becomes the tokens of its bytes. A character U+2581 in the text, which SentencePiece
/// itself would take for a space, becomes its bytes too, so that any bytes come back exactly; invalid UTF-8 likewise.
/// </summary>
sealed class SentencePieceTokenizer<TRule>(TokenizerParts parts, TRule rule, SpaceRules spaces) : Tokenizer(parts)
    where TRule : struct, IMergeRule
{
    const byte Space = (byte)' ';

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
                var nextSpace = spaces.SplitsWords ? text[1..].IndexOf(Space) : -1;
                var length = nextSpace < 0 ? text.Length : nextSpace + 1;
                EncodeWord(ref merger, text[..length], ids);
                text = text[length..];
            }
        }
        finally
        {
            merger.Dispose();
        }
    }

    void EncodeWord(ref PairMerger<TRule> merger, ReadOnlySpan<byte> word, List<int> ids)
    {
        if (IgnoreMerges && Plain.TryFind(word, out var whole))
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
            else foreach (var value in word.Slice(symbol.Start, symbol.Length)) ids.Add(ByteIds[value]);
        }
    }

    void AppendCharacters(ref PairMerger<TRule> merger, ReadOnlySpan<byte> word)
    {
        for (var at = 0; at < word.Length;)
        {
            Rune.DecodeFromUtf8(word[at..], out _, out var width);
            merger.Append(Plain.TryFind(word.Slice(at, width), out var id) ? id : -1, at, width);
            at += width;
        }
    }
}
