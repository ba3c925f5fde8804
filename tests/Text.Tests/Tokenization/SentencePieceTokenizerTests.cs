using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization;

/// <summary>Unused pieces take part in merging as in SentencePiece (<c>bpe_model.cc</c>), but no text becomes one.</summary>
public sealed class SentencePieceTokenizerTests
{
    const int Normal = 1;
    const int Unused = 5;

    [Fact]
    public void MergingGoesThroughAnUnusedPiece()
    {
        Piece[] pieces = [.. Letters("abc"), new("ab", -1, Unused), new("abc", -2, Normal)];

        Assert.Equal("▁ abc", Encode(pieces, "abc"));
        Assert.Equal("▁ a b", Encode(pieces, "ab"));
        Assert.Equal("▁ a b abc a b", Encode(pieces, "ababcab"));
    }

    [Fact]
    public void WithoutTheUnusedPieceNothingIsMerged()
    {
        Piece[] pieces = [.. Letters("abc"), new("abc", -2, Normal)];

        Assert.Equal("▁ a b c", Encode(pieces, "abc"));
    }

    [Fact]
    public void AnUnusedPieceIsSplitAsItWasMerged()
    {
        Piece[] leftFirst = [.. Letters("abc"), new("ab", -1, Normal), new("bc", -2, Normal), new("abc", -3, Unused)];
        Piece[] rightFirst = [.. Letters("abc"), new("ab", -2, Normal), new("bc", -1, Normal), new("abc", -3, Unused)];
        Piece[] nested = [.. Letters("abc"), new("ab", -1, Unused), new("abc", -2, Unused), new("abcc", -3, Unused)];

        Assert.Equal("▁ ab c", Encode(leftFirst, "abc"));
        Assert.Equal("▁ a bc", Encode(rightFirst, "abc"));
        Assert.Equal("▁ a b c c", Encode(nested, "abcc"));
    }

    [Fact]
    public void AnUnusedLetterBecomesItsByte() => Assert.Equal("▁ <0x61> b", Encode([new("a", -1, Unused), .. Letters("b")], "ab"));

    [Fact]
    public void AnUnusedPieceGivesWayToAnotherOfTheSameText()
    {
        Piece[] pieces = [new("ab", -1, Unused), .. Letters("ab"), new("ab", -2, Normal), new("ab", -3, Unused)];

        Assert.Equal("▁ ab", Encode(pieces, "ab"));
    }

    [Fact]
    public void EncodesAsTheReferenceDoesWhateverIsUnused()
    {
        var random = new Random(7);
        for (var round = 0; round < 60; round++)
        {
            List<Piece> pieces = [.. Letters("abc")];
            for (var i = 0; i < 20; i++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(2, 6)).Select(_ => "abc "[random.Next(4)])).Replace(' ', '▁');
                if (pieces.All(piece => piece.Text != text)) pieces.Add(new(text, -random.Next(8), random.Next(2) == 0 ? Normal : Unused));
            }
            var tokenizer = Open(pieces);
            for (var i = 0; i < 10; i++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => "abc "[random.Next(4)]));
                Assert.Equal(EncodeSlowly(pieces, "▁" + text.Replace(' ', '▁')), Encode(tokenizer, pieces, text));
                Encoded.AssertRoundTrip(tokenizer, System.Text.Encoding.UTF8.GetBytes(text));
            }
        }
    }

    [Fact]
    public void ALiteralMarkIsASpaceAsLlamaCppHasIt()
    {
        var tokenizer = ModelTextReader.Open(SharedFiles.Fixture("models/stories260K.gguf")).Tokenizer;

        // llama.cpp b9749's ids.
        Assert.Equal([410, 410, 261], tokenizer.Encode("\u2581\u2581a", addSpecial: false, parseSpecial: false));
        Assert.Equal(tokenizer.Encode(" once  upon a ", false, false), tokenizer.Encode("\u2581once\u2581 upon\u2581a ", false, false));
    }

    /// <summary>The reference's algorithm: all pairs on one list, the best first, and unused pieces divided as they were found last.</summary>
    static string EncodeSlowly(List<Piece> pieces, string text)
    {
        var byText = pieces.ToDictionary(piece => piece.Text);
        var symbols = text.Select(letter => letter.ToString()).ToList();
        List<(int Left, int Right, string Text)> found = [];
        Dictionary<string, (string, string)> splits = [];
        for (var at = 1; at < symbols.Count; at++) Find(at - 1, at);
        while (found.Count > 0)
        {
            var best = found.MinBy(pair => (-byText[pair.Text].Score, pair.Left));
            found.Remove(best);
            if (symbols[best.Left].Length == 0 || symbols[best.Right].Length == 0 || symbols[best.Left] + symbols[best.Right] != best.Text) continue;
            (symbols[best.Left], symbols[best.Right]) = (best.Text, "");
            Find(symbols.FindLastIndex(Math.Max(best.Left - 1, 0), Math.Max(best.Left, 1), symbol => symbol.Length > 0), best.Left);
            Find(best.Left, symbols.FindIndex(best.Right, symbol => symbol.Length > 0));
        }
        return string.Join(' ', symbols.Where(symbol => symbol.Length > 0).SelectMany(Split));

        void Find(int left, int right)
        {
            if (left < 0 || right < 0 || left == right) return;
            var merged = symbols[left] + symbols[right];
            if (!byText.TryGetValue(merged, out var piece)) return;
            found.Add((left, right, merged));
            if (piece.Type == Unused) splits[merged] = (symbols[left], symbols[right]);
        }

        IEnumerable<string> Split(string symbol) =>
            byText.TryGetValue(symbol, out var piece) && piece.Type == Unused ? [.. Split(splits[symbol].Item1), .. Split(splits[symbol].Item2)] : [symbol];
    }

    static IEnumerable<Piece> Letters(string letters) => letters.Append('▁').Select(letter => new Piece(letter.ToString(), -100, Normal));

    static string Encode(IReadOnlyList<Piece> pieces, string text) => Encode(Open(pieces), pieces, text);

    static string Encode(ITokenizer tokenizer, IReadOnlyList<Piece> pieces, string text)
    {
        var ids = tokenizer.Encode(text, addSpecial: false, parseSpecial: false);
        Encoded.AssertRoundTrip(tokenizer, System.Text.Encoding.UTF8.GetBytes(text));
        return string.Join(' ', ids.Select(id => id < 3 + 256 ? $"<0x{id - 3:X2}>" : pieces[id - 3 - 256].Text));
    }

    static ITokenizer Open(IReadOnlyList<Piece> pieces)
    {
        var bytes = Enumerable.Range(0, 256).Select(value => new Piece($"<0x{value:X2}>", 0, 6));
        List<Piece> all = [new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3), .. bytes, .. pieces];
        var pairs = new GgufPairs();
        pairs.Set("tokenizer.ggml.model", "llama");
        pairs.Set("tokenizer.ggml.tokens", [.. all.Select(piece => piece.Text)]);
        pairs.Set("tokenizer.ggml.scores", [.. all.Select(piece => piece.Score)]);
        pairs.Set("tokenizer.ggml.token_type", [.. all.Select(piece => piece.Type)]);
        return VocabularyFile.Open(pairs).Tokenizer;
    }

    sealed record Piece(string Text, float Score, int Type);
}
