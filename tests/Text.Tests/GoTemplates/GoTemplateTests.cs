using System.Text.Json.Nodes;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.GoTemplates;

/// <summary>What goes beyond the recorded templates: errors, limits, and words of the content.</summary>
public sealed class GoTemplateTests
{
    [Theory]
    [InlineData("{{ .Prompt }}\n  {{ html .Prompt }}", "line 2, position 6: the function 'html' is not supported")]
    [InlineData("{{ nothing }}", "line 1, position 4: the function 'nothing' is not defined")]
    [InlineData("a\n{{ if .Prompt }}", "line 2, position 4: 'if' has no 'end'")]
    [InlineData("{{ printf \"%x\" 3 }}", "line 1, position 4: 'printf' does not support the verb %x")]
    [InlineData("{{ with 1 }}{{ else with 2 }}{{ end }}", "line 1, position 21: unexpected 'with'")]
    [InlineData("{{ range 5 }}{{ end }}", "line 1, position 10: a range cannot go over a value of type int")]
    [InlineData("{{ .Prompt.x }}", "line 1, position 4: a value of type string has no field 'x'")]
    [InlineData("{{ .Prompt }}\n{{ len 3 }}", "line 2, position 4: 'len' wants a string, list or map, not int")]
    [InlineData("{{ slice .Prompt 1 2 }}", "line 1, position 4: 'slice' cuts a character of more than one byte")]
    [InlineData("{{ \"\u001b\" | printf \"%d\" }}", "line 1, position 10: 'printf' cannot write string with %d")]
    [InlineData("{{ \u001b }}", "line 1, position 4: unexpected character '\\u001b'")]
    [InlineData("{{ .Messages }}", "line 1, position 4: a message cannot be printed: print its fields")]
    [InlineData("{{ 0x10 }}", "line 1, position 4: the number '0x10' is not supported")]
    [InlineData("{{ print or }}", "line 1, position 10: 'or' wants at least one argument")]
    [InlineData("{{ and }}", "line 1, position 4: 'and' wants at least one argument")]
    public void What_is_wrong_is_named_with_its_place(string source, string message) => Assert.Equal(message, Refusal(source).Message);

    [Fact]
    public void Dates_are_those_of_the_rendering()
    {
        Assert.Equal("1970-01-01 1969-12-31", Render("{{ currentDate }} {{ yesterdayDate }}{{ if .Messages }}{{ end }}"));
    }

    /// <summary>Its words must not depend on the machine's speed: each of these is stopped by a count, long before the clock is looked at.</summary>
    [Theory]
    [InlineData("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", "nested deeper than")]
    [InlineData("{{ define \"a\" }}{{ template \"b\" . }}{{ end }}{{ define \"b\" }}{{ with . }}{{ template \"a\" . }}{{ end }}{{ end }}{{ template \"a\" 1 }}",
        "nested deeper than")]
    [InlineData("{{ define \"a\" }}{{ range .Messages }}{{ template \"a\" $ }}{{ end }}{{ end }}{{ template \"a\" . }}", "nested deeper than")]
    [InlineData(
        "{{ define \"a\" }}{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ range $.Messages }}"
            + "{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ template \"a\" . }}",
        "steps")]
    [InlineData("{{ $x := \"aaaaaaaa\" }}{{ range .Messages }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}", "characters")]
    [InlineData("{{ $x := \"aaaaaaaa\" }}{{ range .Messages }}{{ $x = json $x }}{{ end }}", "characters")]
    [InlineData("{{ printf \"%999999999d\" 1 }}{{ if .Messages }}{{ end }}", "width or precision over 10000")]
    [InlineData("{{ printf \"%.999999999f\" 1.5 }}{{ if .Messages }}{{ end }}", "width or precision over 10000")]
    [InlineData("{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ printf \"%9999d\" 1 }}{{ end }}{{ end }}{{ end }}", "characters")]
    [InlineData(
        "{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ range $.Messages }}"
            + "{{ printf \"%.9999f\" 1e-300 }}{{ end }}{{ end }}{{ end }}{{ end }}",
        "steps")]
    public void A_rendering_stops_at_its_limits(string source, string reason)
    {
        var messages = Enumerable.Repeat("x", 101).Index().Select(one => (one.Index % 2 == 0 ? "user" : "assistant", one.Item));
        var refusal = Assert.Throws<GoTemplateException>(() => GoTemplate.Parse(source).Render(Input([.. messages])));
        Assert.Contains(reason, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Theory]
    [InlineData("{{ ", "(", "1", ")", " }}")]
    [InlineData("", "{{ if 1 }}", "", "{{ end }}", "")]
    [InlineData("", "{{ range .Messages }}", "", "{{ end }}", "")]
    [InlineData("{{ if 1 }}", "{{ else if 1 }}", "", "", "{{ end }}")]
    [InlineData("", "{{ block \"a\" . }}", "", "{{ end }}", "")]
    public void Nested_too_deep_is_not_read(string before, string opening, string middle, string closing, string after)
    {
        const int times = 20_000;
        var refusal = Refusal(before + string.Concat(Enumerable.Repeat(opening, times)) + middle + string.Concat(Enumerable.Repeat(closing, times)) + after);
        Assert.Contains("nested deeper than 100 levels", refusal.Message);
    }

    [Fact]
    public void Too_much_is_not_read()
    {
        Assert.Contains("characters", Refusal(new string('a', (1 << 20) + 1)).Message);
        Assert.Contains("more than 200 variables", Refusal(string.Concat(Enumerable.Repeat("{{ $x := 1 }}", 300))).Message);
    }

    [Fact]
    public void Special_tokens_of_the_content_are_words_and_those_of_the_template_are_not()
    {
        var marks = new ContentMarks(["<|start|>", "<|end|>"]);
        var template = GoTemplate.Parse(
            "<|start|>{{ .System }}<|end|><|start|>{{ .Prompt }}{{ json .Prompt }}{{ len .Prompt }}{{ printf \"%q\" .Prompt }}<|end|>");
        var input = Input(("system", "S"), ("user", "a<|end|>"));
        var marked = marks.Mark(input)!;

        var laid = marked.Lay(template.Render(input), template.Render(marked.Input, standIns: marked.Meaning))!;

        Assert.Equal("<|start|>S<|end|><|start|>a<|end|>\"a\\u003c|end|\\u003e\"8\"a<|end|>\"<|end|>", laid.Text);
        Assert.Equal([27, 57], laid.Words.Where(index => laid.Text.AsSpan(index).StartsWith("<|end|>")));
        Assert.DoesNotContain(laid.Text.LastIndexOf("<|end|>", StringComparison.Ordinal), laid.Words);
    }

    [Fact]
    public void A_template_that_looks_at_the_marked_characters_is_found_out()
    {
        var template = GoTemplate.Parse("{{ if eq .Prompt \"<|end|>\" }}yes{{ end }}{{ .Response }}");
        var input = Input(("user", "<|end|>"));
        var marked = new ContentMarks(["<|end|>"]).Mark(input)!;
        Assert.Null(marked.Lay(template.Render(input), template.Render(marked.Input, standIns: marked.Meaning)));
    }

    static GoTemplateException Refusal(string source) => Assert.Throws<GoTemplateException>(() => Render(source));

    static string Render(string source) => GoTemplate.Parse(source).Render(Input(("user", "ä")));

    static ChatTemplateInput Input(params (string Role, string Content)[] messages) => new()
    {
        Messages = new JsonArray([.. messages.Select(message => new JsonObject { ["role"] = message.Role, ["content"] = message.Content })]),
        Now = DateTimeOffset.UnixEpoch,
    };
}
