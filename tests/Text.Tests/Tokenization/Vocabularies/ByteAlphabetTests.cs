using System.Text;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tests.Tokenization.Vocabularies;

public sealed class ByteAlphabetTests
{
    [Theory]
    [InlineData("the", "746865")]
    [InlineData("\u0120the", "20746865")]
    [InlineData("\u010A\u010D\u0109", "0A0D09")]
    [InlineData("\u00E9", "E9")]
    [InlineData("\u0143", "AD")]
    [InlineData("\u0142", "A0")]
    [InlineData("\u0100\u0121", "007F")]
    [InlineData("", "")]
    public void ACharacterStandsForAByte(string written, string bytes) => Assert.Equal(bytes, Decode(written));

    [Theory]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData("\u00A0")]
    [InlineData("\u00AD")]
    [InlineData("\u0144")]
    [InlineData("\u20AC")]
    [InlineData("a\U0001F600")]
    public void OtherCharactersStandForNone(string written) => Assert.Null(Decode(written));

    [Fact]
    public void EveryByteHasOneCharacter()
    {
        var bytes = Enumerable.Range(0, 0x200).Select(character => Decode(((char)character).ToString())).OfType<string>().ToList();
        Assert.Equal(256, bytes.Count);
        Assert.Equal(256, bytes.Distinct().Count());
    }

    [Fact]
    public void WhatIsNotUtf8StandsForNothing()
    {
        Assert.False(ByteAlphabet.TryDecode([0xC4], new byte[1], out _));
        Assert.False(ByteAlphabet.TryDecode([0xC4, (byte)'a'], new byte[2], out _));
        Assert.False(ByteAlphabet.TryDecode([0x80], new byte[1], out _));
    }

    static string? Decode(string written)
    {
        var raw = new byte[Encoding.UTF8.GetByteCount(written)];
        return ByteAlphabet.TryDecode(Encoding.UTF8.GetBytes(written), raw, out var length) ? Convert.ToHexString(raw, 0, length) : null;
    }
}
