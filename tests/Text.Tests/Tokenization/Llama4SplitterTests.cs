using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Text.Tests.Tokenization;

public sealed class Llama4SplitterTests
{
    // .NET's case-insensitive s does not match U+017F, as the expression's own engine does.
    static readonly Regex Expression = new(Llama4Splitter.Expression.Replace("'s|", "'s|'\u017F|"), RegexOptions.CultureInvariant);

    static readonly Regex Tekken = new(Llama4Splitter.TekkenExpression, RegexOptions.CultureInvariant);

    [Theory]
    [InlineData("I'm he'LL 12", "I|'m| he|'LL| |1|2")]
    [InlineData("camelCase HTTPServer", "camel|Case| HTTPServer")]
    [InlineData("a/b //\n/x", "a|/b| //\n/|x")]
    public void SplitsAsTekkensExpressionSays(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Split(Encoding.UTF8.GetBytes(text), isTekken: true).Select(Encoding.UTF8.GetString)));

    [Theory]
    [InlineData("Hello, world!", "Hello|,| world|!")]
    [InlineData("camelCase HTTPServer XMLs", "camel|Case| HTTPServer| XMLs")]
    [InlineData("I'm he'LL 'tis x''s", "I'm| he'LL| '|tis| x|''|s")]
    [InlineData("ABC'S ABC", "ABC'S| ABC")]
    [InlineData("12345 1", "123|45| |1")]
    [InlineData("a/b //\n/x", "a|/b| //\n/|x")]
    [InlineData("  x", " | x")]
    [InlineData(" \n\n  x", " \n\n| | x")]
    [InlineData("e\u0301E\u0301F \u0301A", "e\u0301|E\u0301|F| \u0301|A")]
    [InlineData("\u0301A", "\u0301|A")]
    [InlineData("\u65E5\u672CAB\u65E5A", "\u65E5\u672CAB\u65E5|A")]
    public void SplitsAsTheExpressionSays(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Split(Encoding.UTF8.GetBytes(text)).Select(Encoding.UTF8.GetString)));

    [Theory]
    [InlineData("Hello, world!")]
    [InlineData("camelCase HTTPServer XMLs")]
    [InlineData("I'm he'LL 'tis x''s")]
    [InlineData("a/b //\n/x")]
    [InlineData("e\u0301E\u0301F \u0301A")]
    [InlineData("\u65E5\u672CAB\u65E5A")]
    public void ExamplesAreMatchesOfTheExpression(string text) => Compare(text);

    [Fact]
    public void SplitsRandomTextAsTheExpressionDoes()
    {
        var random = new Random(1);
        string[] pools =
        [
            "'sStTrReEvVlLmMdD\u017F", " \t\n\r\v\f\u0085\u00A0\u2003\u2028\u3000",
            "abcXYZ\u00E9\u0416\u0436\u01C5\u02B0\u65E5\u05D0\u0301\u0903\u20DD",
            "0129\u0663\u00BD\u2167", ".,!?-_(){}<|>/\u200B\uFFFD\0",
        ];
        for (var round = 0; round < 6000; round++)
            Compare(string.Concat(Enumerable.Range(0, random.Next(1, 30)).Select(_ => AnyOf(random, pools))));
    }

    [Fact]
    public void KnowsEachCharacterAsTheExpressionDoes()
    {
        for (var character = 0; character <= 0xFFFF; character++)
        {
            var c = (char)character;
            if (!char.IsSurrogate(c)) Compare($"{c}7{c}{c}x{c}X{c}{c}Xx!{c}");
        }
    }

    [Theory]
    [InlineData("61FF212062", "61|FF21|2062")]
    [InlineData("E6972061", "E697|2061")]
    [InlineData("C361", "C361")]
    public void AByteThatIsNotUtf8IsASymbol(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Split(Convert.FromHexString(text)).Select(Convert.ToHexString)));

    static void Compare(string text)
    {
        Assert.Equal(Expression.Matches(text).Select(match => match.Value), Split(Encoding.UTF8.GetBytes(text)).Select(Encoding.UTF8.GetString));
        Assert.Equal(Tekken.Matches(text).Select(match => match.Value), Split(Encoding.UTF8.GetBytes(text), isTekken: true).Select(Encoding.UTF8.GetString));
    }

    static IEnumerable<byte[]> Split(byte[] text, bool isTekken = false)
    {
        for (var at = 0; at < text.Length;)
        {
            var length = Llama4Splitter.FirstPiece(text.AsSpan(at), isTekken);
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
