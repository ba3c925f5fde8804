using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Byte-level BPE as Llama 3 has it: text is cut by <see cref="Llama3Splitter"/>, and within each piece bytes are merged by rank.
/// Every byte is a token, so any bytes are encoded and come back exactly.
/// </summary>
/// <param name="wholeFirst">A piece that is a token becomes it, whatever the merges say ("ignore_merges").</param>
sealed class ByteLevelTokenizer(TokenSet tokens, SpecialIds special, MergeTable merges, bool wholeFirst) : Tokenizer(tokens, special)
{
    protected override SpacePrefix SpacePrefix => SpacePrefix.Never;

    protected override void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids)
    {
        var merger = new PairMerger<MergesByRank>(new MergesByRank(merges));
        try
        {
            while (!text.IsEmpty)
            {
                var length = Llama3Splitter.FirstPiece(text);
                EncodePiece(ref merger, text[..length], ids);
                text = text[length..];
            }
        }
        finally
        {
            merger.Dispose();
        }
    }

    void EncodePiece(ref PairMerger<MergesByRank> merger, ReadOnlySpan<byte> piece, List<int> ids)
    {
        if (wholeFirst && Tokens.Plain.TryFind(piece, out var whole))
        {
            ids.Add(whole);
            return;
        }
        merger.Begin(piece.Length);
        for (var i = 0; i < piece.Length; i++) merger.Append(Tokens.ByteId(piece[i]), i, 1);
        merger.Merge(piece);
        foreach (ref readonly var symbol in merger.Symbols)
            if (symbol.Length > 0) ids.Add(symbol.Id);
    }
}
