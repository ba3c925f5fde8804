using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>Sources of one kind, of any size: the larger, the more they take to compile.</summary>
/// <param name="Name">What they are made of.</param>
/// <param name="OfSize">The source of a size, from 1 on.</param>
sealed record HostileSource(string Name, Func<int, GrammarSource> OfSize);

/// <summary>
/// Makes kinds of sources that may take much to compile: repetitions of wide sets of characters, bounds within bounds, alternatives that an automaton must keep
/// apart, many different sets, lists, names, and what chance makes of all of these. The same seed makes the same.
/// </summary>
sealed class HostileSources(int seed)
{
    static readonly string[] Wide =
        [@"\p{L}", @"\P{Lu}", @"\w", @"\W", @"\p{So}", "[^a]", ".", @"[\p{L}\d]", @"[^\p{Nd}x]", @"[\u{100}-\u{ffff}]", @"\s", "a", "é"];
    static readonly string[] WideOfGbnf = ["[a-z]", "[^a]", ".", "[à-￿]", "[^\\x00-\\x1f]", "\"a\"", "\"日本\""];

    readonly Random _random = new(seed);

    /// <summary>The kinds that are known to take most, and as many that chance makes.</summary>
    public IEnumerable<HostileSource> Make(int random) =>
        [.. Expressions(), .. Grammars(), .. Schemas(), .. Enumerable.Range(0, random).Select(_ => Chance())];

    static HostileSource Regex(string name, Func<int, string> ofSize) => new($"regex: {name}", size => new(GrammarKind.Regex, ofSize(size)));

    static HostileSource Gbnf(string name, Func<int, string> ofSize) => new($"GBNF: {name}", size => new(GrammarKind.Gbnf, ofSize(size)));

    /// <param name="ofSize">With ' in the place of JSON's ".</param>
    static HostileSource Schema(string name, Func<int, string> ofSize) =>
        new($"schema: {name}", size => new(GrammarKind.JsonSchema, ofSize(size).Replace('\'', '"')));

    static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    static string List(int count, Func<int, string> one, string between = ",") => string.Join(between, Enumerable.Range(0, count).Select(one));

    /// <summary>A character for each number, none of which means anything in an expression.</summary>
    static string Letter(int number) => char.ConvertFromUtf32(0x4E00 + (number % 20_000));

    static IEnumerable<HostileSource> Expressions() =>
    [
        .. Wide.Select(set => Regex($"{set} again and again", size => Repeat(set, size))),
        .. Wide.Select(set => Regex(
            $"[{set}...] of many members", size => $"[{Repeat(set.Trim('[', ']', '^', '.') is { Length: > 0 } inner ? inner : "a", size)}]")),
        .. Wide.Select(set => Regex($"{set}{{n}}", size => $"({set}){{0,{Math.Min(size, 10_000)}}}")),
        .. Wide.Select(set => Regex($"{set} before and behind", size => Repeat($"{set}*a", size))),
        Regex("bounds within bounds", size => $"((a{{{Math.Min(size, 10_000)}}}){{0,{Math.Min(1 + (size / 100), 10_000)}}}|b)*"),
        Regex("the nth before the end", size => $@"(\p{{L}}|\d)*a(\p{{L}}|\d){{{Math.Min(size, 10_000)}}}"),
        Regex("different sets", size => List(size, i => $"[^{Letter(i)}]", "")),
        Regex("alternatives of different sets", size => List(size, i => $"[{Letter(i)}-{Letter(i + 500)}]x{i}", "|")),
        Regex("one of many words", size => $"({List(size, i => $"{i}word", "|")})*"),
        Regex("empty groups repeated", size => $"((){{10000}}{Repeat("()", size)}){{0,10000}}"),
        Regex("groups with an anchor at the end", size => $"{Repeat("(", 120)}{Repeat("a", size)}{Repeat(")", 120)}$"),
        Regex("optional letters", size => Repeat("a?", size) + Repeat("a", size)),
    ];

    static IEnumerable<HostileSource> Grammars() =>
    [
        .. WideOfGbnf.Select(set => Gbnf($"{set} again and again", size => $"root ::= {Repeat(set + " ", size)}")),
        .. WideOfGbnf.Select(set => Gbnf($"{set} beside itself", size => $"root ::= {Repeat(set + " ", size)} | \"x\" root")),
        Gbnf("one set of many members", size => $"root ::= [{List(size, Letter, "")}]*"),
        Gbnf("rules in a row", size => $"root ::= r0\n{List(size, i => $"r{i} ::= \"{i}\" r{i + 1} | [^{Letter(i)}]\n", "")}r{size} ::= \"x\""),
        Gbnf("bounds within bounds", size => $"root ::= ((\"a\"{{0,{Math.Min(size, 10_000)}}} root?){{0,{Math.Min(size, 10_000)}}})"),
        Gbnf("lists of words", size => $"root ::= ({List(size, i => $"\"{i} \"", " | ")})* root?"),
    ];

    static IEnumerable<HostileSource> Schemas() =>
    [
        Schema("properties with patterns", size =>
            Properties(size, i => @"{'type':'string','pattern':'^\\p{L}{1,BOUND}$'}".Replace("BOUND", $"{10 + (i % 90)}"))),
        Schema("properties with lengths and formats", size => Properties(size, i => "{'type':'string','format':'date-time','maxLength':" + (20 + i) + "}")),
        Schema("properties with ranges", size => Properties(size, i => "{'type':'number','minimum':" + i + ".5,'maximum':" + (i + 1) + "000.25}")),
        Schema("arrays of many elements", size => Properties(size, i => "{'type':'array','minItems':" + (1_000 + (i % 9_000)) + ",'items':{'type':'null'}}")),
        Schema("values of two lists", size =>
            "{'allOf':[{'enum':[" + List(size, i => $"[{Repeat("0,", 200)}{i}]")
            + "]},{'enum':[" + List(size, i => $"[{Repeat("0,", 200)}{size - 1 - i}]") + "]}]}"),
        Schema("values by a pattern", size => "{'enum':[" + List(Math.Min(size, 20_000), i => $"'value {i}'") + "],'pattern':'^.*(a|[0-9]).{0,8}$'}"),
        Schema("a long name before many", size => "{'properties':{'" + Repeat("n", Math.Min(size, 100_000)) + "':" + Properties(size, _ => "{}") + "}}"),
        Schema("all of many", size => "{'allOf':[" + List(size, i => "{'pattern':'a" + i + "'}") + "]}"),
        Schema("one of many", size => "{'oneOf':[" + List(size, i => "{'type':'string','pattern':'^" + i + @"\\w{1,9}$'}") + "]}"),
        Schema("names by patterns", size =>
            "{'patternProperties':{" + List(Math.Min(size, 4), i => "'^" + i + ".{0," + Math.Min(size, 10_000) + "}$':{'type':'null'}") + "}}"),
        new("choice: many texts", size => new(GrammarKind.Choice, $"[{List(Math.Min(size, 20_000), i => $"\"{i} {Repeat("ab", 8)}\"")}]")),
        new("choice: long texts", size => new(GrammarKind.Choice, $"[{List(16, i => $"\"{i}{Repeat("日", size)}\"")}]")),
    ];

    /// <summary>An object of so many properties.</summary>
    static string Properties(int count, Func<int, string> value) => "{'properties':{" + List(count, i => $"'p{i}':{value(i)}") + "}}";

    HostileSource Chance()
    {
        var pattern = Tree(depth: 4);
        return _random.Next(3) switch
        {
            0 => Schema(pattern, size =>
                "{'type':'string','pattern':'" + Filled(pattern, size).Replace(@"\", @"\\") + "','maxLength':" + Math.Min(size, 10_000) + "}"),
            _ => Regex(pattern, size => Filled(pattern, size)),
        };
    }

    /// <summary>With bounds of a size in the place of <N> and <M>.</summary>
    static string Filled(string pattern, int size) =>
        pattern
            .Replace("<N>", $"{Math.Min(size, 10_000)}", StringComparison.Ordinal)
            .Replace("<M>", $"{Math.Min(1 + (size / 10), 10_000)}", StringComparison.Ordinal);

    string Tree(int depth)
    {
        if (depth == 0 || _random.Next(5) == 0) return Wide[_random.Next(Wide.Length)];
        return _random.Next(5) switch
        {
            0 => $"({Tree(depth - 1)}|{Tree(depth - 1)}|{Tree(depth - 1)})",
            1 => $"({Tree(depth - 1)}){{0,<N>}}",
            2 => $"({Tree(depth - 1)}){{<M>}}",
            3 => $"({Tree(depth - 1)})*",
            _ => $"{Tree(depth - 1)}{Tree(depth - 1)}",
        };
    }
}
