using System.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Drafting;
using LlamaCluster.Text.Tests.Tokenization;

namespace LlamaCluster.Text.Tests.Grammars.Drafting;

public sealed class ForcedTextTests
{
    const string Record =
        """
        {"type":"object","properties":{"name":{"type":"string"},
        "place":{"type":"object","properties":{"row":{"type":"integer"},"seat":{"enum":["aisle","airy"]}},"required":["row","seat"]},
        "version":{"const":{"kind":"fixed text","parts":[1,2]}},"open":{"type":"boolean"}},"required":["name","place","version","open"]}
        """;

    static readonly ITokenizer Tokenizer = VocabularyFile.Open(VocabularyFile.Demo()).Tokenizer;

    public static TheoryData<string, string> Answers => new()
    {
        { "", "{\"name\": \"" },
        { "{\"na", "me\": \"" },
        { "{\"name\": \"two words", "" },
        { "{\"name\": \"", "" },
        { "{\"name\": \"x\"", ", \"place\": {\"row\":" },                       // what comes behind a colon may be joined with it
        { "{\"name\": \"x\",", " \"place\": {\"row\":" },
        { "{\"name\":\"x\",", "\"place\":{\"row\":" },                          // as it was before
        { "{\"name\":\"x\"", ",\"place\":{\"row\":" },
        { "{\n  \"name\": \"x\"", ",\n  \"place\": {\n    \"row\":" },
        { "{\n\t\"name\": \"x\",", "\n\t\"place\": {\n\t\t\"row\":" },
        { "{\"name\": \"x\", \"place\": {\"row\": 3, ", "\"seat\": \"ai" },
        { "{\"name\": \"x\", \"place\": {\"row\": 3, \"seat\": \"air", "y\"}, \"version\": {\"kind\": \"fixed text\", \"parts\": [1, 2]}, \"open\":" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public void What_a_schema_leaves_no_choice_of_is_known(string answer, string forced) =>
        Assert.Equal(forced, Behind(answer, new(GrammarKind.JsonSchema, Record)).TrimEnd(' '));

    [Theory]
    [InlineData("(red|dark red), green, blue\\.", "re", "d, green, blue.")]
    [InlineData("(red|dark red), green, blue\\.", "", "")]
    [InlineData("a+b", "aa", "")]
    [InlineData("one  two\tthree", "one", "  two\tthree")]
    [InlineData("done( really)?", "don", "e")]
    public void So_is_what_an_expression_leaves_none_of(string expression, string answer, string forced) =>
        Assert.Equal(forced, Behind(answer, new(GrammarKind.Regex, expression)));

    [Fact]
    public void The_tokens_are_those_of_the_tokenizer()
    {
        var text = Follow("{\"name\": \"x\"", new(GrammarKind.JsonSchema, Record));
        Assert.Equal(Tokenizer.Encode(", \"place\": {\"row\":", addSpecial: false, parseSpecial: false), text.Next()[..^1].AsEnumerable());
        Assert.Equal(text.Next(), text.Next());
    }

    [Fact]
    public void A_vocabulary_that_puts_a_space_in_front_of_texts_does_not_within_one()
    {
        var tokenizer = VocabularyFile.Open(VocabularyFile.SentencePiece()).Tokenizer;
        Assert.Equal("a cache of keys", Behind("", new(GrammarKind.Choice, "[\"a cache of keys\"]"), tokenizer));
        Assert.Equal(" cache of keys", Behind("a", new(GrammarKind.Choice, "[\"a cache of keys\"]"), tokenizer));
    }

    [Theory]
    [InlineData("{\"nome\": ")]
    [InlineData("{\"name\": \"x\"}}")]
    public void An_answer_of_another_form_has_nothing_forced(string answer) => Assert.Empty(Follow(answer, new(GrammarKind.JsonSchema, Record)).Next());

    [Fact]
    public void A_grammar_that_can_be_read_in_very_many_ways_is_not_followed()
    {
        var rules = string.Join('\n', Enumerable.Range(0, 200).Select(i => $"r{i} ::= \"x\" | r{(i + 1) % 200} \"y\""));
        var text = Follow("xyyx", new(GrammarKind.Gbnf, $"root ::= r0 root | r0 \"zzz\"\n{rules}"));
        Assert.Empty(text.Next());
        Assert.Equal(Tokenizer.Encode("xyyx", addSpecial: false, parseSpecial: false).Count, text.Count);
    }

    static ForcedText Follow(string answer, GrammarSource source, ITokenizer? tokenizer = null)
    {
        var compiled = GrammarCompiler.Compile(source);
        Assert.Null(compiled.Refusal);
        tokenizer ??= Tokenizer;
        var text = new ForcedText(compiled.Grammar!, new DraftTokens(tokenizer));
        // Byte by byte, so that an answer may end anywhere.
        foreach (var id in answer.SelectMany(letter => TokensOf(letter, tokenizer))) text.Add(id);
        return text;
    }

    static IEnumerable<int> TokensOf(char letter, ITokenizer tokenizer)
    {
        var written = Encoding.UTF8.GetBytes([letter]);
        return Enumerable.Range(0, tokenizer.VocabularySize).Where(id => !tokenizer.IsControl(id) && tokenizer.BytesOf(id).Span.SequenceEqual(written)).Take(1);
    }

    static string Behind(string answer, GrammarSource source, ITokenizer? tokenizer = null)
    {
        tokenizer ??= Tokenizer;
        return string.Concat(Follow(answer, source, tokenizer).Next().Select(id => Encoding.UTF8.GetString(tokenizer.BytesOf(id).Span)));
    }
}
