using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>Sources that ask for too much are refused by a limit's name, and soon.</summary>
public sealed class GrammarLimitTests
{
    /// <summary>It takes less than a second on a free machine. Tests share theirs with others, and what is not bounded takes minutes.</summary>
    static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    public static TheoryData<int, string, string> Bombs => new()
    {
        { (int)GrammarKind.JsonSchema, Repeat("{\"items\":", 10_000) + "{}" + Repeat("}", 10_000), "nested deeper than 128" },
        { (int)GrammarKind.JsonSchema, Repeat("[", 200_000), "nested deeper than 128" },
        { (int)GrammarKind.JsonSchema, "{\"enum\":[" + string.Join(',', Enumerable.Range(0, 1_000_000)) + "]}", "characters; the most is" },
        { (int)GrammarKind.JsonSchema, "{\"enum\":[" + string.Join(',', Enumerable.Range(0, 60_000)) + "]}", "60000 values; the most is 20000" },
        { (int)GrammarKind.JsonSchema, "{\"pattern\":\"^(a|b)*a(a|b){30}$\"}", "too many states" },
        { (int)GrammarKind.JsonSchema, "{\"pattern\":\"((a{100}){100}){100}\"}", "too large" },
        { (int)GrammarKind.JsonSchema, "{\"pattern\":\"((" + Repeat("()", 50) + "){10000}){10000}\"}", "too much work" },
        { (int)GrammarKind.JsonSchema, "{\"properties\":{" + string.Join(',', Enumerable.Range(0, 40_000).Select(i => $"\"{i}\":{{}}")) + "}}",
            "too much work|too large" },
        { (int)GrammarKind.JsonSchema, References(1_000, keywords: 10_000), "too much work" },
        { (int)GrammarKind.JsonSchema, "{\"pattern\":\"a\",\"maxLength\":1000000}", "'maxLength' is too large" },
        { (int)GrammarKind.JsonSchema, Chain(60, "allOf"), "too much work" },
        { (int)GrammarKind.JsonSchema, Chain(60, "anyOf"), "too much work" },
        { (int)GrammarKind.JsonSchema, Nested(5, 2_000), "too large|too much work" },
        { (int)GrammarKind.JsonSchema, OneOf(400), "too much work|too much memory|at once" },
        { (int)GrammarKind.Regex, "(a|b)*a(a|b){30}", "too many states" },
        { (int)GrammarKind.Regex, "(((a{1000}){1000}){1000}){1000}", "too large" },
        { (int)GrammarKind.Regex, "a{1000000}", "repetitions; the most is 10000" },
        { (int)GrammarKind.Regex, Repeat("(", 100_000), "nested too deep" },
        { (int)GrammarKind.Regex, "(.*a.*b.*c.*d.*e.*f.*g){1000}", "too many states|too much work" },
        { (int)GrammarKind.Choice, "[" + string.Join(',', Enumerable.Range(0, 60_000).Select(i => $"\"{i}\"")) + "]", "60000 texts; the most is 20000" },
        { (int)GrammarKind.Gbnf, "root ::= " + Repeat("\"abcdef\" ", 120_000), "characters; the most is" },
        { (int)GrammarKind.Gbnf, "root ::= " + Repeat("(", 50_000), "nested too deep" },
        { (int)GrammarKind.Gbnf, "root ::= \"a\"" + Repeat("{0,1000}", 60_000), "too many of * + ? {} follow one another; the most is 4" },
        { (int)GrammarKind.Gbnf, Doubling(40), "too much work|too large|too many" },
        { (int)GrammarKind.Gbnf, "root ::= ((([a-z]{1000}){1000}){1000}) | \"x\" root", "too large|too much work" },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void AreRefusedByName(int kind, string source, string reasons)
    {
        var begun = Stopwatch.GetTimestamp();
        var reason = GrammarProbe.Refusal((GrammarKind)kind, source);
        Assert.InRange(Stopwatch.GetElapsedTime(begun), TimeSpan.Zero, Soon);
        Assert.True(reasons.Split('|').Any(expected => reason.Contains(expected, StringComparison.Ordinal)), reason);
    }

    /// <summary>Sources that would call a compiler very deep, on a stack as small as those of threads that serve requests.</summary>
    [Theory]
    [InlineData("rules")]
    [InlineData("rules backwards")]
    [InlineData("groups")]
    [InlineData("groups in rules")]
    [InlineData("anchored")]
    public void WhatIsHighDoesNotOverflowTheStack(string what)
    {
        const int stack = 1 << 20;
        var source = what switch
        {
            "rules" => "root ::= r1\n" + string.Concat(Enumerable.Range(1, 15_000).Select(i => $"r{i} ::= \"a\" r{i + 1}\n")) + "r15001 ::= \"b\"",
            "rules backwards" => "r0 ::= \"b\"\n" + string.Concat(Enumerable.Range(1, 15_000).Select(i => $"r{i} ::= r{i - 1} | \"a\"\n")) + "root ::= r15000",
            "anchored" => $"^{Repeat("a-z", 5_000)}$",
            "groups" => $"root ::= {Group(126, "\"a\"")}",
            _ => string.Concat(Enumerable.Range(0, 200).Select(i => $"r{i} ::= {Group(100, $"r{i + 1}")}\n")) + "r200 ::= \"a\"\nroot ::= r0",
        };
        GrammarCompilation? compiled = null;
        var thread = new Thread(() => compiled = GrammarCompiler.Compile(new(what == "anchored" ? GrammarKind.Regex : GrammarKind.Gbnf, source)), stack);
        thread.Start();
        Assert.True(thread.Join(Soon));
        if (compiled!.Refusal is { } refusal) Assert.Matches("too much work|too large", $"{refusal}");
        else Assert.NotNull(compiled.Grammar);
    }

    static string Group(int depth, string inner) => Repeat("(\"x\" | ", depth) + inner + Repeat(")?+{1,2}", depth);

    [Theory]
    [InlineData((int)GrammarKind.Gbnf, "root ::= \"\\\n\"")]
    [InlineData((int)GrammarKind.Gbnf, "root ::= \u001b")]
    [InlineData((int)GrammarKind.Regex, "\\k<\u001b>")]
    [InlineData((int)GrammarKind.JsonSchema, "{\"properties\":{\"a\\n\\u001b\":{\"type\":\"b\\n\\u001b\"}}}")]
    [InlineData((int)GrammarKind.JsonSchema, "{\"type\":\"string\",\"pattern\":\"\\u001b[\"}")]
    public void RefusalsAreOneLineWhateverTheyQuote(int kind, string source) =>
        Assert.DoesNotContain(GrammarProbe.Refusal((GrammarKind)kind, source), char.IsControl);

    [Fact]
    public void LargeOnesWithinTheLimitsCompile()
    {
        var choices = JsonSerializer.Serialize(Enumerable.Range(0, 2_000).Select(i => $"choice {i}"));
        Assert.True(GrammarProbe.Of(new(GrammarKind.Choice, choices)).Accepts("choice 1999"));
        var properties = new JsonObject(Enumerable.Range(0, 1_000)
            .Select(i => KeyValuePair.Create($"property{i}", (JsonNode?)new JsonObject { ["type"] = "string" })));
        Assert.True(GrammarProbe.Of(GrammarSource.OfSchema(new JsonObject { ["properties"] = properties }))
            .Accepts("{\"property3\":\"x\", \"property999\":\"\"}"));
    }

    /// <summary>Each property refers to one definition with many keywords.</summary>
    static string References(int count, int keywords) =>
        $"{{\"properties\":{{{string.Join(',', Enumerable.Range(0, count).Select(i => $"\"{i}\":{{\"$ref\":\"#/$defs/d\"}}"))}}},\"$defs\":{{\"d\":{{"
        + $"{string.Join(',', Enumerable.Range(0, keywords).Select(i => $"\"x-{i}\":1"))}}}}}}}";

    static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    /// <summary>Each definition has the next one twice.</summary>
    static string Chain(int length, string keyword)
    {
        var definitions = Enumerable.Range(0, length)
            .Select(i => $"\"d{i}\":{{\"{keyword}\":[{{\"$ref\":\"#/$defs/d{i + 1}\"}},{{\"minLength\":{i},\"$ref\":\"#/$defs/d{i + 1}\"}}]}}");
        return $"{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{string.Join(',', definitions)},\"d{length}\":{{\"type\":\"string\"}}}}}}";
    }

    static string Nested(int depth, int count) =>
        depth == 0 ? "{\"type\":\"null\"}" : $"{{\"type\":\"array\",\"minItems\":{count},\"items\":{Nested(depth - 1, count)}}}";

    static string OneOf(int count) =>
        $"{{\"oneOf\":[{string.Join(',', Enumerable.Range(0, count).Select(i => $"{{\"type\":\"string\",\"pattern\":\"^{i}x[0-9a-f]{{20}}$\"}}"))}]}}";

    /// <summary>Each rule has the next one twice, and none is finite enough to be read in place.</summary>
    static string Doubling(int length) =>
        "root ::= r0\n"
            + string.Concat(Enumerable.Range(0, length).Select(i => $"r{i} ::= (r{i + 1} r{i + 1}){{3000}} | \"({i}\" r0\n"))
            + $"r{length} ::= \"x\"\n";
}
