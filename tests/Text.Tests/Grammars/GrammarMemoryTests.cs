using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>What a source may take is counted while it is compiled, so that none takes more than the limits say.</summary>
public sealed class GrammarMemoryTests
{
    /// <summary>Beside what is counted there are the source, its parts as JSON, and what is small.</summary>
    const long Uncounted = 64 << 20;

    const long Most = (GrammarLimits.Memory * 1024L * 1024) + Uncounted;

    public static TheoryData<string, int> Kinds => new()
    {
        { @"regex: \p{L} again and again", 9_600 },
        { @"regex: [\p{L}...] of many members", 100_000 },
        { @"regex: \P{Lu} again and again", 80_000 },
        { "regex: different sets", 20_000 },
        { "regex: alternatives of different sets", 8_000 },
        { "regex: groups with an anchor at the end", 300_000 },
        { "regex: the nth before the end", 10_000 },
        { "GBNF: rules in a row", 10_000 },
        { "GBNF: bounds within bounds", 10_000 },
        { "schema: arrays of many elements", 8_000 },
        { "schema: a long name before many", 30_000 },
        { "schema: values of two lists", 600 },
        { "schema: properties with patterns", 5_000 },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void NoKindOfSourceTakesMoreThanTheLimits(string name, int size)
    {
        var source = new HostileSources(seed: 1).Make(random: 0).Single(kind => kind.Name == name).OfSize(size);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var compiled = GrammarCompiler.Compile(source);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Most);
        if (compiled.Refusal is { } refusal) Assert.Matches("the most is|too much work", $"{refusal}");
    }

    /// <summary>A set that is named thousands of times is made once.</summary>
    [Fact]
    public void ACategoryOfManyRangesMayStandOftenInAnExpression()
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Regex, $"q|d{string.Concat(Enumerable.Repeat(@"\p{L}", 50))}"));
        Assert.True(probe.Accepts("d" + string.Concat(Enumerable.Repeat("é", 50))));
        Assert.False(probe.Accepts("d" + string.Concat(Enumerable.Repeat("é", 49)) + "1"));
    }
}
