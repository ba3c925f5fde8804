using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>The expression by which a byte-level tokenizer cuts text.</summary>
enum PieceRules
{
    /// <summary>See <see cref="Llama3Splitter"/>.</summary>
    Llama3,

    /// <summary>See <see cref="Llama4Splitter"/>.</summary>
    Llama4,

    /// <summary>Mistral's; see <see cref="Llama4Splitter.TekkenExpression"/>.</summary>
    Tekken,
}

/// <summary>
/// Byte-level BPE as in Llama 3 and 4, and in Mistral's models since Nemo: text is cut into pieces, and inside each piece bytes are merged by rank.
/// Every byte is a token, so any bytes can be encoded and come back exactly.
/// </summary>
/// <param name="wholeFirst">Whether a piece that is a token becomes that token, whatever the merges say ("ignore_merges").</param>
/// <param name="pieces">How text is cut.</param>
sealed class ByteLevelTokenizer(TokenSet tokens, SpecialIds special, MergeTable merges, bool wholeFirst, PieceRules pieces) : Tokenizer(tokens, special)
{
    public PieceRules Pieces => pieces;

    protected override SpacePrefix SpacePrefix => SpacePrefix.Never;

    protected override void EncodePlain(ReadOnlySpan<byte> text, bool startsText, List<int> ids)
    {
        var merger = new PairMerger<MergesByRank>(new MergesByRank(merges));
        try
        {
            while (!text.IsEmpty)
            {
                var length = pieces is PieceRules.Llama3 ? Llama3Splitter.FirstPiece(text) : Llama4Splitter.FirstPiece(text, pieces is PieceRules.Tekken);
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
