using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Tests.Templates.Runtime;

public sealed class TextSearchTests
{
    [Fact]
    public void FindsWhatDotNetFinds()
    {
        var random = new Random(5);
        for (var round = 0; round < 20_000; round++)
        {
            var text = Letters(random, 60);
            var wanted = random.Next(3) == 0 ? Letters(random, 40) : Part(random, text);
            var budget = new Budget(new TemplateLimits(), 0);

            Assert.Equal(text.IndexOf(wanted, StringComparison.Ordinal), TextSearch.IndexOf(text, wanted, budget));
            Assert.Equal(text.AsSpan().LastIndexOf(wanted), TextSearch.LastIndexOf(text, wanted, budget));
            if (wanted.Length > 0) Assert.Equal(text.AsSpan().Count(wanted), TextSearch.Count(text, wanted, budget));
        }
    }

    [Fact]
    public void CountsWhatItLooksAt()
    {
        var text = string.Concat(Enumerable.Repeat("ab", 20_000));
        var half = string.Concat(Enumerable.Repeat("ab", 5_000));

        Assert.InRange(StepsFor((text, "x")), 600, 700);
        Assert.InRange(StepsFor((text, "ab")), 0, 1);
        Assert.InRange(StepsFor((text, half + "ca" + half)), 1_000_000, 2_000_000);
    }

    static long StepsFor((string Text, string Wanted) search)
    {
        var budget = new Budget(new TemplateLimits(), 0);
        TextSearch.IndexOf(search.Text, search.Wanted, budget);
        return budget.StepsUsed;
    }

    static string Part(Random random, string text)
    {
        var start = random.Next(text.Length + 1);
        return text[start..random.Next(start, text.Length + 1)];
    }

    static string Letters(Random random, int most) => string.Concat(Enumerable.Range(0, random.Next(most)).Select(_ => random.Next(6) == 0 ? 'b' : 'a'));
}
