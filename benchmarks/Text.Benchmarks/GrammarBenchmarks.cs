using System.Diagnostics;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Benchmarks;

/// <summary>
/// Times masks, tokens and compilations. Answers are random: half of the tokens are chosen evenly among those that a mask has, the others are one of
/// them of a single byte, so that answers come to their ends.
/// </summary>
sealed class GrammarBenchmarks(BenchmarkVocabulary vocabulary)
{
    const int Answers = 20;
    const int LongestAnswer = 200;
    const double MedianBudget = 40;
    const double SlowestBudget = 400;
    const double CompileBudget = 20_000;

    static (string Name, GrammarSource Source)[] Sources { get; } =
    [
        ("json_object", GrammarSource.AnyObject),
        ("100 properties", new(GrammarKind.JsonSchema, Properties(100))),
        ("strings with lengths", new(GrammarKind.JsonSchema, """{"type":"array","items":{"type":"string","minLength":3,"maxLength":200}}""")),
        ("record", new(GrammarKind.JsonSchema,
            """
            {"type":"object","properties":{"id":{"type":"string","format":"uuid"},"created":{"type":"string","format":"date-time"},
            "name":{"type":"string","maxLength":80},"score":{"type":"number","minimum":0,"maximum":1},
            "level":{"enum":["low","middle","high"]},"tags":{"type":"array","items":{"type":"string"},"maxItems":8},
            "next":{"anyOf":[{"type":"null"},{"$ref":"#"}]}},"required":["id","name","level","tags"],"additionalProperties":false}
            """)),
        ("additional names", new(GrammarKind.JsonSchema,
            """{"type":"object","properties":{"name":{"type":"string"},"size":{"type":"integer"}},"additionalProperties":{"type":"string"}}""")),
        ("regex", new(GrammarKind.Regex, "([A-Z][a-z]+ ){2,8}[a-z]+@[a-z]+\\.(com|org)( \\d{1,4})?")),
        ("GBNF", new(GrammarKind.Gbnf,
            "root ::= expr\nexpr ::= term (ws [-+] ws term)*\nterm ::= factor (ws [*/] ws factor)*\n"
            + "factor ::= [0-9]+ | name | \"(\" expr \")\"\nname ::= [a-z] [a-z0-9_]*\nws ::= \" \"?")),
    ];

    /// <returns>Whether all budgets are kept.</returns>
    public bool Run(TextWriter output)
    {
        var kept = true;
        output.WriteLine($"{"",-22}{"compile us",12}{"masks",8}{"median us",12}{"p99 us",10}{"max us",10}{"token us",10}");
        var all = new List<double>();
        foreach (var (name, source) in Sources)
        {
            Walk(source, new MaskCache(vocabulary.Grammar), 2);   // compiles the program
            var compile = Enumerable.Range(0, 15).Select(_ => Time(() => GrammarCompiler.Compile(source))).Order().ElementAt(7);
            var (masks, tokens) = Walk(source, new MaskCache(vocabulary.Grammar), Answers);
            all.AddRange(masks);
            kept &= compile <= CompileBudget;
            output.WriteLine($"{name,-22}{compile,12:F0}{masks.Count,8}"
                + $"{At(masks, 0.5),12:F1}{At(masks, 0.99),10:F1}{masks.Max(),10:F0}{At(tokens, 0.5),10:F1}");
        }
        output.WriteLine($"{"all",-22}{"",12}{all.Count,8}{At(all, 0.5),12:F1}{At(all, 0.99),10:F1}{all.Max(),10:F0}");
        return kept && At(all, 0.5) <= MedianBudget && At(all, 0.99) <= SlowestBudget;
    }

    /// <summary>Times of masks and of tokens, in microseconds.</summary>
    (List<double> Masks, List<double> Tokens) Walk(GrammarSource source, MaskCache cache, int answers)
    {
        var (masks, tokens) = (new List<double>(), new List<double>());
        var grammar = GrammarCompiler.Compile(source).Grammar!;
        var random = new Random(3);
        var mask = new ulong[(vocabulary.Grammar.Size + 63) / 64];
        for (var answer = 0; answer < answers; answer++)
        {
            var matcher = new GrammarMatcher(grammar.Rules, cache);
            for (var token = 0; token < LongestAnswer; token++)
            {
                masks.Add(Time(() =>
                {
                    mask.AsSpan().Clear();
                    matcher.Mask(mask);
                }));
                var chosen = Choose(mask, random);
                if (chosen == vocabulary.EndId) break;
                tokens.Add(Time(() => matcher.Add(chosen)));
            }
        }
        return (masks, tokens);
    }

    int Choose(ulong[] mask, Random random)
    {
        var allowed = Enumerable.Range(0, vocabulary.Texts.Count).Where(id => (mask[id >> 6] >> id & 1) == 1).ToList();
        var single = allowed.Where(id => vocabulary.Texts[id].Length <= 1).ToList();
        return random.Next(2) == 0 && single.Count > 0 ? single[random.Next(single.Count)] : allowed[random.Next(allowed.Count)];
    }

    static double Time(Action work)
    {
        var begun = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(begun).TotalMicroseconds;
    }

    static double At(List<double> times, double share) => times.Order().ElementAt((int)((times.Count - 1) * share));

    static string Properties(int count)
    {
        string[] types = ["{\"type\":\"string\"}", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":5000}", "{\"type\":\"number\"}",
            "{\"type\":\"boolean\"}", "{\"enum\":[\"a\",\"b\",\"c\"]}"];
        var properties = string.Join(',', Enumerable.Range(0, count).Select(i => $"\"property{i}\":{types[i % types.Length]}"));
        return $"{{\"type\":\"object\",\"properties\":{{{properties}}}}}";
    }
}
