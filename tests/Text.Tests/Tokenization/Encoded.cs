using System.Runtime.InteropServices;
using System.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Text.Tests.Tokenization;

/// <summary>Checks that a tokenizer gives recorded ids, and that decoding gives the text back.</summary>
static class Encoded
{
    public static void AssertIds(ITokenizer tokenizer, string[] texts, int[][] ids, bool parseSpecial = false)
    {
        Assert.Equal(texts.Length, ids.Length);
        for (var i = 0; i < texts.Length; i++)
        {
            var encoded = tokenizer.Encode(texts[i], addSpecial: false, parseSpecial);
            Assert.True(ids[i].SequenceEqual(encoded), $"{texts[i]}: expected {string.Join(' ', ids[i])}, got {string.Join(' ', encoded)}");
        }
    }

    /// <summary>Any bytes come back exactly, but for U+2581 from a tokenizer that writes spaces so: that comes back as a space.</summary>
    public static void AssertRoundTrip(ITokenizer tokenizer, ReadOnlySpan<byte> text, bool parseSpecial = true)
    {
        List<int> ids = [];
        tokenizer.Encode(text, ids, addSpecial: false, parseSpecial);
        List<byte> decoded = [];
        tokenizer.Decode([.. ids], decoded, includeControl: true);
        var expected = tokenizer is Tokenizer { Tokens.MarksSpaces: true } ? Latin1(text).Replace(Latin1("\u2581"u8), " ") : Latin1(text);
        var isSame = expected == Latin1(CollectionsMarshal.AsSpan(decoded));
        Assert.True(isSame, isSame ? "" : $"{Convert.ToHexString(text)} came back as {Convert.ToHexString([.. decoded])}");
    }

    static string Latin1(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);
}
