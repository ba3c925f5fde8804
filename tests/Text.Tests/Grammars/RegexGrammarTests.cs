using System.Text.RegularExpressions;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

public sealed class RegexGrammarTests
{
    [Theory]
    [InlineData("abc", "abc", "ab,abcd,")]
    [InlineData("a|bc|", "a,bc,", "b,ab")]
    [InlineData("[a-c]+\\d{2,3}", "a12,cba999", "a1,12,a1234")]
    [InlineData("(?:ab)*c?", "abab,c,,abc", "aba,cc")]
    [InlineData("^(yes|no)$", "yes,no", "yes ,maybe")]
    [InlineData("[^\\W_]{3}", "a1Z", "a_b,ab")]
    [InlineData("\\u{1F600}\\x41\\cJ|[\\]\\-]", "😀A\n,],-", "😀A")]
    [InlineData(".", "é,😀", "\n,ab")]
    [InlineData("\\p{Lu}\\p{L}*", "Äpfel,A", "äpfel,1")]
    [InlineData("(?<year>\\d{4})-(?<month>\\d\\d?)", "2026-1,2026-11", "26-11")]
    [InlineData("a{,2}b{2}c{1,}", "bbc,aabbccc", "aaabbc,bb")]
    [InlineData("x*?y+?", "y,xxy", "x")]
    public void AcceptsWholeTextsOnly(string expression, string accepted, string others)
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Regex, expression));
        Assert.All(accepted.Split(','), text => Assert.True(probe.Accepts(text), text));
        Assert.All(others.Split(','), text => Assert.False(probe.Accepts(text), text));
    }

    [Theory]
    [InlineData("(a)\\1", "reference back")]
    [InlineData("a(?=b)", "looks ahead")]
    [InlineData("(?<!a)b", "looks ahead or behind")]
    [InlineData("\\bword", "word boundary")]
    [InlineData("a^b", "in the middle")]
    [InlineData("(^a)*", "repeats an anchor")]
    [InlineData("(ab", "without its ')'")]
    [InlineData("ab)", "without its '('")]
    [InlineData("[ab", "without its ']'")]
    [InlineData("[b-a]", "in order")]
    [InlineData("*a", "nothing to repeat")]
    [InlineData("a{3,2}", "no count meets")]
    [InlineData("a{x}", "without counts")]
    [InlineData("\\q", "unknown escape \\q")]
    [InlineData("\\p{Script=Greek}", "general category")]
    [InlineData("(?i)a", "unknown kind, or flags")]
    [InlineData("[^\\s\\S]", "no text matches")]
    public void RefusesWhatCannotBeEnforcedByName(string expression, string reason) =>
        Assert.Contains(reason, GrammarProbe.Refusal(GrammarKind.Regex, expression), StringComparison.Ordinal);

    [Fact]
    public void AcceptsWhatDotNetAcceptsForRandomExpressions()
    {
        var random = new Random(7);
        for (var round = 0; round < 2_000; round++)
        {
            var expression = RandomExpression(random, 3);
            var expected = new Regex($"^(?:{expression})$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            var compiled = GrammarCompiler.Compile(new(GrammarKind.Regex, expression));
            for (var i = 0; i < 20; i++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(7)).Select(_ => "abc"[random.Next(3)]));
                Assert.True(
                    expected.IsMatch(text) == (compiled.Grammar is { } grammar && new GrammarProbe(grammar).Accepts(text)), $"{expression} and '{text}'");
            }
        }
    }

    static string RandomExpression(Random random, int depth) => random.Next(depth == 0 ? 2 : 7) switch
    {
        0 => "abc"[random.Next(3)].ToString(),
        1 => random.Next(2) == 0 ? "[ab]" : "[^b]",
        2 => RandomExpression(random, depth - 1) + RandomExpression(random, depth - 1),
        3 => $"(?:{RandomExpression(random, depth - 1)}|{RandomExpression(random, depth - 1)})",
        4 => $"(?:{RandomExpression(random, depth - 1)})*",
        5 => $"(?:{RandomExpression(random, depth - 1)})?",
        _ => $"(?:{RandomExpression(random, depth - 1)}){{{random.Next(2)},{1 + random.Next(3)}}}",
    };
}
