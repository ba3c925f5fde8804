using System.Text;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Text.Tests.Answers;

/// <summary>What is found in answers as models write them, whole and cut into pieces of any size.</summary>
public sealed class AnswerParserTests
{
    static readonly HashSet<string> Functions = ["weather", "now", "get.it", "code_interpreter"];

    public static TheoryData<string, string> Llama => new()
    {
        { "Hello there.", "Hello there." },
        { "  Hello \n there. \n", "  Hello \n there. \n" },
        { "", "" },
        { " \n", " \n" },
        { """{"name": "weather", "parameters": {"place": "Zürich"}}""", """weather({"place": "Zürich"})""" },
        { """ {"name":"weather","arguments":{"a":{"b":[1,{"c":"}\"]"}]}}} """, """weather({"a":{"b":[1,{"c":"}\"]"}]}})""" },
        { """{"type": "function", "name": "weather", "parameters": {}}""", "weather({})" },
        { """{"parameters": {"x": 1}, "name": "weather"}""", """weather({"x": 1})""" },
        { """{"function": "weather", "parameters": {"x": 1}}""", """weather({"x": 1})""" },
        { """{"name": "now"}""", "now({})" },
        { """{"name": "now", "parameters": null}""", "now({})" },
        { """{"name": "now", "arguments": "{\"a\": \"\u00fc\ud83d\ude42\\n\"}"}""", """now({"a": "ü🙂\n"})""" },
        { """{"name": "now", "arguments": ""}""", "now({})" },
        { """{"name": "weather", "parameters": {}}; {"name": "now", "parameters": {"z": 1}}""", """weather({})|now({"z": 1})""" },
        { "{\"name\": \"weather\", \"parameters\": {}}\n{\"name\": \"now\", \"parameters\": {}}", "weather({})|now({})" },
        { """[{"name": "weather", "parameters": {}}, {"name": "now", "parameters": {}}]""", "weather({})|now({})" },
        { """<|python_tag|>{"name": "unknown", "parameters": {}}""", "unknown({})" },
        { """<|python_tag|>weather.call(place="Zürich, \"CH\"", days="2")""", """weather({"place": "Zürich, \"CH\"", "days": "2"})""" },
        { "<|python_tag|>print(1)\nprint(\"a\\n\")", """code_interpreter({"code": "print(1)\nprint(\"a\\n\")"})""" },
        { "<|python_tag|>x", """code_interpreter({"code": "x"})""" },
        { """[weather(place='Zürich', days=2, exact=True, note=None), now()]""",
            """weather({"place": "Zürich", "days": 2, "exact": true, "note": null})|now({})""" },
        { """[get.it(a=[1, 2.50, (3,)], b={'k': "it's", "l": {}}, c='say "hi"\n', d='''x "y" 'z' ''')]""",
            """get.it({"a": [1, 2.5, [3]], "b": {"k": "it's", "l": {}}, "c": "say \"hi\"\n", "d": "x \"y\" 'z' "})""" },
        { """[now(a='', b="\x41\u00e9\q", c=-1e3, d=word)]""", """now({"a": "", "b": "\u0041\u00e9\\q", "c": -1000, "d": "word"})""" },
        { """<function=weather>{"place": "Zürich"}</function>""", """weather({"place": "Zürich"})""" },
        { "Let me look.\n\n<function=now></function>\n", "Let me look.|now({})" },
        { "Let me look.\n{\"name\": \"now\", \"parameters\": {}}", "Let me look.|now({})" },
        { """{"name": "weather", "parameters": {}} and so on""", "weather({})| and so on" },
        // What looks like a call and is none.
        { """{"name": "Anna", "parameters": {}}""", """{"name": "Anna", "parameters": {}}""" },
        { """{"temperature": 5}""", """{"temperature": 5}""" },
        { """Say {"name": "now", "parameters": {}}""", """Say {"name": "now", "parameters": {}}""" },
        { """{"name": "now", "parameters": [1]}""", """{"name": "now", "parameters": [1]}""" },
        { "{\n  int x = 1;\n}\n", "{\n  int x = 1;\n}\n" },
        { "[1] and [weather] and [a](b)", "[1] and [weather] and [a](b)" },
        { "[unknown(a=1)]", "[unknown(a=1)]" },
        { "a < b, <b>bold</b>, <function>, <|python", "a < b, <b>bold</b>, <function>, <|python" },
        { "<function=a b>", "<function=a b>" },
        { """{"name": "no""", """{"name": "no""" },
        { "[", "[" },
        { "<<|python_tag|>x", """<|code_interpreter({"code": "x"})""" },
        // Cut in the middle.
        { """{"name": "weather", "parameters": {"place": "Zür""", """weather({"place": "Zür)""" },
        { """[weather(place='Zür""", """weather({"place": "Zür)""" },
        { "<function=weather>{\"pl", "weather({\"pl)" },
        { """{"name": "weather", "parameters": {}}; {"na""", "weather({})" },
    };

    public static TheoryData<string, string> Hermes => new()
    {
        { "Plain {\"name\": \"now\", \"arguments\": {}}", "Plain {\"name\": \"now\", \"arguments\": {}}" },
        { "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\": \"Zürich\"}}\n</tool_call>", """weather({"place": "Zürich"})""" },
        { "I look.\n<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>\n"
            + "<tool_call>\n{\"arguments\": {\"b\": 2}, \"name\": \"now\"}\n</tool_call>\n",
            """I look.|other({})|now({"b": 2})""" },
        { "<tool_call>\nno JSON\n</tool_call>", "<tool_call>\nno JSON\n</tool_call>" },
        { "<tool_call>{\"name\": \"now\", \"arguments\": {}}", "now({})" },
        { "<tool_call>{\"name\": \"now\", \"arguments\": {}}<tool_call>{\"name\": \"weather\"}</tool_call>", "now({})|weather({})" },
        { "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": ", "now({\"a\": )" },
        { "<tool_call>{\"name\": \"now\", \"arguments\": {}}\n</tool_call> done", "now({})| done" },
        { "<tool_", "<tool_" },
        { "<tool_<tool_call>{\"name\":\"now\"}</tool_call>", "<tool_|now({})" },
    };

    public static TheoryData<string, string> Reasoned => new()
    {
        { "<think>\nIt is \n simple.\n</think>\n\nYes. \n", "(It is \n simple.)|Yes. \n" },
        { "\n <think>a</think>b", "(a)|b" },
        { "<think></think>\n\nYes", "Yes" },
        { "<think>never ends < /think> </thin", "(never ends < /think> </thin)" },
        { "Plain <think>a</think>", "Plain <think>a</think>" },
        { " <thinking>", " <thinking>" },
        { "<think>a <</think>b", "(a <)|b" },
        { "", "" },
        { "<th", "<th" },
        { "<think>call it</think>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", "(call it)|now({})" },
    };

    [Theory]
    [MemberData(nameof(Llama))]
    public void Llamas_calls_are_found(string text, string wanted)
    {
        AssertPieces(new(ToolFormat.LlamaJson, Functions, false, ReasoningPlace.None), text, wanted);
        AssertPieces(new(ToolFormat.Pythonic, Functions, false, ReasoningPlace.None), text, wanted);
    }

    [Theory]
    [MemberData(nameof(Hermes))]
    public void Calls_in_tags_are_found(string text, string wanted)
        => AssertPieces(new(ToolFormat.Hermes, Functions, false, ReasoningPlace.None), text, wanted);

    [Theory]
    [MemberData(nameof(Reasoned))]
    public void Reasoning_is_found(string text, string wanted)
        => AssertPieces(new(ToolFormat.Hermes, Functions, false, ReasoningPlace.MayBegin), text, wanted);

    [Theory]
    [InlineData("It is simple.\n</think>\n\nYes.", "(It is simple.)|Yes.")]
    [InlineData("<think>\nagain</think>Yes.", "(again)|Yes.")]
    [InlineData("<thin ice</think>Yes.", "(<thin ice)|Yes.")]
    [InlineData("no end", "(no end)")]
    public void Reasoning_that_the_prompt_opened_is_found(string text, string wanted)
        => AssertPieces(new(null, Functions, false, ReasoningPlace.Opened), text, wanted);

    [Fact]
    public void An_answer_that_may_call_once_ends_with_its_call()
    {
        var parser = new AnswerParser(new(ToolFormat.LlamaJson, Functions, SingleCall: true, ReasoningPlace.None));
        Assert.Equal("now({})", Show(parser.Append("""{"name": "now", "parameters": {}}; {"name": "weather", "parameters": {}}""")));
        Assert.True(parser.Ended);
        Assert.Equal("", Show(parser.Append("more")));
        Assert.Equal("", Show(parser.End()));
    }

    [Fact]
    public void A_call_is_known_before_its_arguments_are_complete_and_text_is_not_held_back()
    {
        var parser = new AnswerParser(new(ToolFormat.LlamaJson, Functions, false, ReasoningPlace.None));
        Assert.Equal("Well", Show(parser.Append("Well")));
        Assert.Equal(", ok", Show(parser.Append(", ok ")));
        Assert.Equal("", Show(parser.Append("\n{\"name\": \"now\", \"parameters\":")));
        Assert.IsType<AnswerPiece.CallBegun>(parser.Append(" {")[0]);
        var fragment = Assert.IsType<AnswerPiece.CallArguments>(Assert.Single(parser.Append("\"a\": \"some w")));
        Assert.Equal("\"a\": \"some w", fragment.Json);
    }

    [Fact]
    public void Calls_are_numbered_and_have_ids_of_their_own()
    {
        var parser = new AnswerParser(new(ToolFormat.Pythonic, Functions, false, ReasoningPlace.None));
        var begun = parser.Append("[now(), now(), now()]").OfType<AnswerPiece.CallBegun>().ToList();
        Assert.Equal([0, 1, 2], begun.Select(call => call.Call));
        Assert.Equal(3, begun.Select(call => call.Id).Distinct().Count());
        Assert.All(begun, call => Assert.Matches("^call_[A-Za-z0-9]{24}$", call.Id));
    }

    [Fact]
    public void Any_text_is_parsed_in_time_and_none_of_it_is_lost_where_there_is_no_call()
    {
        const string letters = "{}[]()<>\"'\\,;:= \nntf_abc1|/";
        var random = new Random(17);
        foreach (var format in Enum.GetValues<ToolFormat>())
            for (var round = 0; round < 2000; round++)
            {
                var text = new StringBuilder();
                while (text.Length < 60)
                    text.Append(random.Next(4) == 0 ? Words[random.Next(Words.Length)] : letters[random.Next(letters.Length)].ToString());
                var parser = new AnswerParser(new(format, Functions, false, ReasoningPlace.None));
                IReadOnlyList<AnswerPiece> pieces = [.. parser.Append(text.ToString()), .. parser.End()];
                if (parser.Calls == 0) Assert.Equal(text.ToString(), string.Concat(pieces.OfType<AnswerPiece.Text>().Select(piece => piece.Words)));
                Assert.Equal(parser.Calls, pieces.Count(piece => piece is AnswerPiece.CallEnded));
            }
    }

    static readonly string[] Words =
    [
        "{\"name\": \"now\", ", "\"parameters\": {", "<tool_call>", "</tool_call>", "<|python_tag|>", "<function=", "now", "\n{", "\n[",
        "weather(", "now.call(",
    ];

    static void AssertPieces(AnswerFormat format, string text, string wanted)
    {
        Assert.Equal(wanted, Parse(format, [text]));
        Assert.Equal(wanted, Parse(format, text.Select(letter => letter.ToString())));
        var random = new Random(text.Length);
        for (var round = 0; round < 10; round++) Assert.Equal(wanted, Parse(format, Cut(text, random)));
    }

    static IEnumerable<string> Cut(string text, Random random)
    {
        for (var at = 0; at < text.Length;)
        {
            var length = Math.Min(text.Length - at, random.Next(1, 8));
            yield return text.Substring(at, length);
            at += length;
        }
    }

    static string Parse(AnswerFormat format, IEnumerable<string> parts)
    {
        var parser = new AnswerParser(format);
        var pieces = new List<AnswerPiece>();
        foreach (var part in parts) pieces.AddRange(parser.Append(part));
        pieces.AddRange(parser.End());
        Assert.All(pieces.OfType<AnswerPiece.Text>(), piece => Assert.False(char.IsHighSurrogate(piece.Words[^1])));
        return Show(pieces);
    }

    /// <summary>Text as it is, reasoning in brackets, calls with theirs, and a bar between what is not the same.</summary>
    static string Show(IEnumerable<AnswerPiece> pieces)
    {
        var shown = new StringBuilder();
        var (kind, inReasoning) = ("", false);
        foreach (var piece in pieces)
        {
            var next = piece switch { AnswerPiece.Text => "text", AnswerPiece.Reasoning => "reasoning", _ => "call" };
            if (inReasoning && next != "reasoning") shown.Append(')');
            if (kind.Length > 0 && (next != kind || piece is AnswerPiece.CallBegun)) shown.Append('|');
            if (next == "reasoning" && !inReasoning) shown.Append('(');
            (kind, inReasoning) = (next, next == "reasoning");
            shown.Append(piece switch
            {
                AnswerPiece.Text text => text.Words,
                AnswerPiece.Reasoning reasoning => reasoning.Words,
                AnswerPiece.CallBegun begun => $"{begun.Name}(",
                AnswerPiece.CallArguments arguments => arguments.Json,
                _ => ")",
            });
        }
        return inReasoning ? $"{shown})" : shown.ToString();
    }
}
