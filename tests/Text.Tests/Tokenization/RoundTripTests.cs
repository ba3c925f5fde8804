using System.Diagnostics;
using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization;

/// <summary>Any bytes come back from their ids, whatever the kind of the tokenizer.</summary>
public sealed class RoundTripTests
{
    static readonly ITokenizer[] Tokenizers =
    [
        VocabularyFile.Open(VocabularyFile.SentencePiece()).Tokenizer,
        VocabularyFile.Open(VocabularyFile.Demo()).Tokenizer,
        ModelTextReader.Open(Path.GetDirectoryName(Recorded.PathOf("sentencepiece/tokenizer.model"))!).Tokenizer,
        ModelTextReader.Open(Path.GetDirectoryName(Recorded.PathOf("llama2/tokenizer.json"))!).Tokenizer,
        ModelTextReader.Open(SharedFiles.Demo("hf")).Tokenizer,
    ];

    [Fact]
    public void RandomBytes()
    {
        var random = new Random(3);
        for (var round = 0; round < 300; round++)
        {
            var text = new byte[random.Next(1, 200)];
            random.NextBytes(text);
            AssertAll(text);
        }
    }

    [Fact]
    public void RandomPiecesOfTextAndOfCharacters()
    {
        var random = new Random(4);
        string[] texts =
            [" ", "  ", "the", "\u2581", "\u2581\u2581", "<s>", "</s>", "<|eot_id|>", "<0x41>", "<0x0A>", "\n", "\u00E9", "\U0001F600", "::", "\0"];
        byte[][] pieces = [.. texts.Select(Encoding.UTF8.GetBytes), [0xE2, 0x96], [0x81], [0xE2], [0xC3], [0xF0, 0x9F, 0x98]];
        for (var round = 0; round < 1000; round++)
            AssertAll([.. Enumerable.Range(0, random.Next(1, 20)).SelectMany(_ => pieces[random.Next(pieces.Length)])]);
    }

    [Fact]
    public void ALargeText() => AssertAll(File.ReadAllBytes(SharedFiles.Fixture("demo-heldout.txt")));

    /// <summary>If the work were quadratic, each of these texts would take minutes.</summary>
    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("\n ")]
    [InlineData("1")]
    [InlineData("'")]
    [InlineData("<|eot_id")]
    [InlineData("\u00E9")]
    [InlineData("the")]
    public void LongRunsWithoutABorder(string unit)
    {
        var started = Stopwatch.GetTimestamp();
        var text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(unit, 300_000 / unit.Length)));
        foreach (var tokenizer in Tokenizers) Encoded.AssertRoundTrip(tokenizer, text);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void BothFormsOfTheDemoModelEncodeAlike()
    {
        var (gguf, folder) = (Tokenizers[1], Tokenizers[4]);
        foreach (var text in Recorded.PlainTexts.Concat(Recorded.SpecialTexts).Append(File.ReadAllText(SharedFiles.Fixture("demo-heldout.txt"))))
            foreach (var parseSpecial in (bool[])[false, true])
                Assert.Equal(gguf.Encode(text, addSpecial: true, parseSpecial), folder.Encode(text, addSpecial: true, parseSpecial));
    }

    static void AssertAll(byte[] text)
    {
        foreach (var tokenizer in Tokenizers)
            foreach (var parseSpecial in (bool[])[false, true]) Encoded.AssertRoundTrip(tokenizer, text, parseSpecial);
    }
}
