using System.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Text.Tests.Tokenization;

public sealed class LetterTokenizerTests
{
    [Fact]
    public void EveryIdIsALetterToSee()
    {
        var tokenizer = new LetterTokenizer(80);
        var decoder = new TokenStreamDecoder(tokenizer);

        Assert.All(Enumerable.Range(0, 80), id => Assert.Matches("^[a-z]$", decoder.Append(id)));
        Assert.True(tokenizer.BytesOf(80).IsEmpty);
        Assert.True(tokenizer.BytesOf(-1).IsEmpty);
        Assert.Empty(tokenizer.StopIds);
    }

    [Fact]
    public void AnyTextIsMadeOfItsIds()
    {
        var tokenizer = new LetterTokenizer(80);
        List<int> ids = [];
        List<byte> letters = [];
        tokenizer.Encode("<s> \u00e9\n"u8, ids, addSpecial: true, parseSpecial: true);
        tokenizer.Decode([0, 25, 26], letters, includeControl: true);

        Assert.Equal(7, ids.Count);
        Assert.All(ids, id => Assert.InRange(id, 0, 79));
        Assert.Equal("aza", Encoding.UTF8.GetString([.. letters]));
    }
}
