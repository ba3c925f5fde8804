using System.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Tests.Grammars;

public sealed class MaskTests
{
    static readonly TestVocabulary Vocabulary = TestVocabulary.Json;

    public static TheoryData<int, string> Sources => new()
    {
        { (int)GrammarKind.JsonObject, "" },
        { (int)GrammarKind.JsonSchema,
            """{"type":"object","properties":{"name":{"type":"string","maxLength":5}"""
            + ""","items":{"type":"array","items":{"type":"number","minimum":-2,"maximum":123}}},"additionalProperties":{"enum":["red","one",null]}}""" },
        { (int)GrammarKind.JsonSchema, """{"type":"array","items":{"type":"string","pattern":"^(abc|b1)+x?$"}}""" },
        { (int)GrammarKind.Regex, "(a|ab|abc)*\"?(, ?\"|é)+.{2,4}" },
        { (int)GrammarKind.Choice, """["a","ab","two words","é","😀","{\"k\": \"v\"}"]""" },
        { (int)GrammarKind.Gbnf, "root ::= sum\nsum ::= sum [-,] term | term\nterm ::= \"1\" | \"123\" | \"(\" sum \")\" | \"-\" term" },
        { (int)GrammarKind.Gbnf, "root ::= \"a\" root \"b\" | \"a\" root | \"a\" | \"ab\"" },
    };

    [Theory]
    [MemberData(nameof(Sources))]
    public void AMaskHasExactlyTheTokensThatMayFollow(int kind, string text)
    {
        var grammar = GrammarCompiler.Compile(new((GrammarKind)kind, text)).Grammar!;
        var steps = new ReadingSteps(grammar.Rules);
        var cache = new MaskCache(Vocabulary.Grammar);
        var random = new Random(5);
        var mask = new ulong[(Vocabulary.Grammar.Size + 63) / 64];
        for (var answer = 0; answer < 100; answer++)
        {
            var matcher = new GrammarMatcher(grammar.Rules, cache);
            var readings = steps.Begin();
            for (var token = 0; token < 30; token++)
            {
                mask.AsSpan().Clear();
                matcher.Mask(mask);
                var next = new List<int>();
                for (var id = 0; id < Vocabulary.Grammar.Size; id++)
                {
                    var expected = id == Vocabulary.EndId
                        ? readings.MayEnd
                        : id < Vocabulary.Texts.Count && !steps.Advance(readings, Vocabulary.Texts[id].Span).IsDead;
                    Assert.True(
                        expected == ((mask[id / 64] >> id & 1) == 1),
                        $"token {id}, '{(id < Vocabulary.Texts.Count ? Encoding.UTF8.GetString(Vocabulary.Texts[id].Span) : "")}'");
                    if (expected && id != Vocabulary.EndId) next.Add(id);
                }
                if (next.Count == 0) break;
                var chosen = next[random.Next(next.Count)];
                matcher.Add(chosen);
                readings = steps.Advance(readings, Vocabulary.Texts[chosen].Span);
            }
        }
    }

    [Fact]
    public void TokensCanBeTakenBackUntilTheyAreSettled()
    {
        var matcher = new GrammarMatcher(GrammarCompiler.Compile(new(GrammarKind.Regex, "ab{3}c")).Grammar!.Rules, new MaskCache(Vocabulary.Grammar));
        foreach (var letter in "abb") matcher.Add(letter);
        matcher.Settle(2);
        matcher.Add('b');
        matcher.Add('x');
        Assert.True(matcher.IsDead);
        matcher.Truncate(4);
        matcher.Add('c');
        Assert.True(matcher.MayEnd);
        Assert.Equal(5, matcher.Count);
        matcher.Truncate(2);
        matcher.Settle(1);
        Assert.Equal([(byte)'b'], Allowed(matcher));
    }

    [Fact]
    public void WhereAnAnswerHasToEndOnlyEndsAreAllowed()
    {
        var matcher = new GrammarMatcher(
            GrammarCompiler.Compile(new GrammarSource(GrammarKind.Choice, """["ab","abc"]""")).Grammar!.Rules, new MaskCache(Vocabulary.Grammar));
        matcher.Add('a');
        matcher.Add('b');
        Assert.Equal(['c', Vocabulary.EndId], Allowed(matcher));
        matcher.Add('c');
        Assert.Equal([Vocabulary.EndId], Allowed(matcher));
        matcher.Add(Vocabulary.EndId);
        Assert.True(matcher.IsDead);
    }

    static int[] Allowed(GrammarMatcher matcher)
    {
        var mask = new ulong[(Vocabulary.Grammar.Size + 63) / 64];
        matcher.Mask(mask);
        return [.. Enumerable.Range(0, Vocabulary.Grammar.Size).Where(id => (mask[id / 64] >> id & 1) == 1)];
    }
}
