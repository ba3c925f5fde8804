using System.Text;
using LlamaCluster.Text.Tests.Tokenization;

namespace LlamaCluster.Text.Tests;

public sealed class TokenStreamDecoderTests
{
    static readonly ITokenizer Tokenizer = VocabularyFile.Open(VocabularyFile.SentencePiece()).Tokenizer;

    [Fact]
    public void GivesACharacterWhenItIsComplete()
    {
        var decoder = new TokenStreamDecoder(Tokenizer);
        var bytes = Encoding.UTF8.GetBytes("\U0001F600");

        Assert.Equal(["", "", "", "\U0001F600"], bytes.Select(value => decoder.Append(Byte(value))));
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void GivesWhatIsCertainBeforeWhatIsNot()
    {
        var decoder = new TokenStreamDecoder(Tokenizer);

        Assert.Equal("", decoder.Append(Byte(0xE2)));
        Assert.Equal("", decoder.Append(Byte(0x82)));
        Assert.Equal("\uFFFDa", decoder.Append(Byte((byte)'a')));
        Assert.Equal("", decoder.Append(Byte(0xF0)));
        Assert.Equal("\uFFFD", decoder.Append(Byte(0xF0)));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("b", decoder.Append(Byte((byte)'b')));
    }

    [Fact]
    public void KeepsTheSpaceThatAGenerationStartsWith()
    {
        var the = Tokenizer.FindToken("\u2581the")!.Value;
        Assert.Equal(" the", new TokenStreamDecoder(Tokenizer).Append(the));
        Assert.Equal("the", Tokenizer.DecodeText([the], includeControl: false));
    }

    [Fact]
    public void LeavesControlTokensOutUnlessAsked()
    {
        Assert.Equal("", new TokenStreamDecoder(Tokenizer).Append(Tokenizer.EosId!.Value));
        Assert.Equal("</s>", new TokenStreamDecoder(Tokenizer, new HashSet<int> { Tokenizer.EosId!.Value }).Append(Tokenizer.EosId!.Value));
        Assert.Equal("<|user|>", new TokenStreamDecoder(Tokenizer).Append(Tokenizer.FindToken("<|user|>")!.Value));
        Assert.Equal("", new TokenStreamDecoder(Tokenizer).Append(-1));
        Assert.Equal("", new TokenStreamDecoder(Tokenizer).Append(900));
    }

    [Fact]
    public void AllPiecesTogetherAreTheTextOfAllBytes()
    {
        var random = new Random(5);
        byte[] leads = [0x41, 0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0x9F, 0xA0, 0x8F, 0x90];
        int AnyLead() => Byte(leads[random.Next(leads.Length)]);
        for (var round = 0; round < 2000; round++)
        {
            var ids = Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(3) == 0 ? random.Next(Tokenizer.VocabularySize) : AnyLead()).ToList();
            var bytes = ids.Where(id => !Tokenizer.IsControl(id)).SelectMany(id => Tokenizer.BytesOf(id).ToArray()).ToArray();
            var decoder = new TokenStreamDecoder(Tokenizer);
            var pieces = ids.Select(decoder.Append).ToList();
            pieces.Add(decoder.Flush());

            Assert.Equal(Encoding.UTF8.GetString(bytes), string.Concat(pieces));
            Assert.All(pieces, piece => Assert.True(piece.Length == 0 || !char.IsLowSurrogate(piece[0]) && !char.IsHighSurrogate(piece[^1])));
        }
    }

    static int Byte(byte value) => Tokenizer.FindToken($"<0x{value:X2}>")!.Value;
}
