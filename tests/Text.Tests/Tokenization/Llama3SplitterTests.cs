using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Text.Tests.Tokenization;

public sealed class Llama3SplitterTests
{
    // .NET's case-insensitive s does not match U+017F, as the expression's own engine does: it stands here by itself.
    static readonly Regex Expression = new("'\u017F|" + Llama3Splitter.Expression, RegexOptions.CultureInvariant);

    [Theory]
    [InlineData("Hello, world!", "Hello|,| world|!")]
    [InlineData("I'm he'LLo 'tis x''s", "I|'m| he|'LL|o| '|tis| x|''|s")]
    [InlineData("'\u017Fab", "'\u017F|ab")]
    [InlineData("'", "'")]
    [InlineData("a'", "a|'")]
    [InlineData("12345 1", "123|45| |1")]
    [InlineData("  x", " | x")]
    [InlineData("   ", "   ")]
    [InlineData("x   ", "x|   ")]
    [InlineData(" \n\n  x", " \n\n| | x")]
    [InlineData("a \t!", "a| |\t|!")]
    [InlineData("a  !?\r\n\nb", "a| | !?\r\n\n|b")]
    [InlineData("\tx\u00A0y", "\tx|\u00A0y")]
    [InlineData("\u00A0!", "\u00A0|!")]
    [InlineData("\U0001D400\U0001D7D8\U0001F600e\u0301", "\U0001D400|\U0001D7D8|\U0001F600e|\u0301")]
    public void SplitsAsTheExpressionSays(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Split(Encoding.UTF8.GetBytes(text)).Select(Encoding.UTF8.GetString)));

    [Fact]
    public void SplitsRandomTextAsTheExpressionDoes()
    {
        // The expression is matched by .NET, which sees surrogates and not characters beyond them: these are in the recorded ids.
        var random = new Random(1);
        string[] pools =
        [
            "'sStTrReEvVlLmMdD\u017F", " \t\n\r\v\f\u0085\u00A0\u2003\u2028\u3000",
            "abcXYZ\u00E9\u0416\u65E5\u05D0",
            "0129\u0663\u00BD\u2167", ".,!?-_(){}<|>\u0301\u200B\uFFFD\0",
        ];
        for (var round = 0; round < 4000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 30)).Select(_ => AnyOf(random, pools)));
            Assert.Equal(Expression.Matches(text).Select(match => match.Value), Split(Encoding.UTF8.GetBytes(text)).Select(Encoding.UTF8.GetString));
        }
    }

    [Fact]
    public void KnowsEachCharacterAsTheExpressionDoes()
    {
        // A digit, a letter and a symbol after it tell all classes apart.
        for (var character = 0; character <= 0xFFFF; character++)
        {
            if (char.IsSurrogate((char)character)) continue;
            var text = $"{(char)character}7{(char)character}{(char)character}x{(char)character}!";
            Assert.Equal(Expression.Matches(text).Select(match => match.Value), Split(Encoding.UTF8.GetBytes(text)).Select(Encoding.UTF8.GetString));
        }
    }

    [Theory]
    [InlineData("61FF212062", "61|FF21|2062")]
    [InlineData("20C340E28231", "20C340E282|31")]
    [InlineData("E6972061", "E697|2061")]
    [InlineData("C361", "C361")]
    public void AByteThatIsNotUtf8IsASymbol(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Split(Convert.FromHexString(text)).Select(Convert.ToHexString)));

    static IEnumerable<byte[]> Split(byte[] text)
    {
        for (var at = 0; at < text.Length;)
        {
            var length = Llama3Splitter.FirstPiece(text.AsSpan(at));
            yield return text[at..(at + length)];
            at += length;
        }
    }

    static char AnyOf(Random random, string[] pools)
    {
        if (random.Next(12) > 0)
        {
            var pool = pools[random.Next(pools.Length)];
            return pool[random.Next(pool.Length)];
        }
        while (true)
        {
            var any = (char)random.Next(0x10000);
            if (char.GetUnicodeCategory(any) is not (UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned)) return any;
        }
    }
}
