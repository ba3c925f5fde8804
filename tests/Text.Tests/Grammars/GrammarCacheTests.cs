using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

public sealed class GrammarCacheTests
{
    [Fact]
    public void What_was_not_asked_for_longest_goes_when_all_take_too_much()
    {
        var cache = new GrammarCache(mostBytes: 200_000);
        static GrammarSource Choice(int number) => new(GrammarKind.Choice, $"[\"{new string('a', 2_000)}{number}\"]");
        var first = cache.Compile(Choice(0));
        var second = cache.Compile(Choice(1));
        Assert.Same(first, cache.Compile(Choice(0)));
        var before = cache.Count;
        var number = 2;
        for (; cache.Count == before; number++, before++) cache.Compile(Choice(number));
        Assert.InRange(cache.Count, 2, 40);
        Assert.Same(first, cache.Compile(Choice(0)));
        Assert.NotSame(second, cache.Compile(Choice(1)));
    }

    [Fact]
    public void What_takes_more_than_there_may_be_is_not_kept()
    {
        var cache = new GrammarCache(mostBytes: 1_000);
        var source = new GrammarSource(GrammarKind.Regex, "[a-z]{500}");
        Assert.NotNull(cache.Compile(source).Grammar);
        Assert.Equal(0, cache.Count);
        cache.Compile(new GrammarSource(GrammarKind.Regex, "("));   // a refusal is small
        Assert.Equal(1, cache.Count);
    }
}
