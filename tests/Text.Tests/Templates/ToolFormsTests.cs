using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.Templates;

/// <summary>Functions, calls and results reach a prompt, whatever form its template reads them in.</summary>
public sealed class ToolFormsTests
{
    const string Tools =
        """[{"type":"function","function":{"name":"weather","description":"Of a place","parameters":"""
        + """{"type":"object","properties":{"place":{"type":"string"}}}}}]""";

    const string History = """
        [{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"},
         {"role":"assistant","content":null,"tool_calls":[
          {"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"place\":\"Bern\"}"}},
          {"id":"c2","type":"function","function":{"name":"weather","arguments":{"place":"Genf"}}}]},
         {"role":"tool","tool_call_id":"c1","content":"rain"},{"role":"tool","tool_call_id":"c2","content":"sun"},{"role":"user","content":"Thanks."}]
        """;

    [Theory]
    [InlineData("llama-2.jinja", ToolFormat.Hermes)]
    [InlineData("llama-3.jinja", ToolFormat.Hermes)]
    [InlineData("llama-3.1.jinja", ToolFormat.LlamaJson)]
    [InlineData("llama-3.2.jinja", ToolFormat.LlamaJson)]
    [InlineData("chatml.jinja", ToolFormat.Hermes)]
    [InlineData("mistral-v0.1.jinja", ToolFormat.Hermes)]
    public void A_templates_text_shows_how_calls_are_written(string file, ToolFormat format) => Assert.Equal(format, Template(file).ToolFormat);

    [Theory]
    [InlineData("llama-2.jinja")]
    [InlineData("llama-3.jinja")]
    [InlineData("llama-3.1.jinja")]
    [InlineData("llama-3.2.jinja")]
    [InlineData("chatml.jinja")]
    public void Every_word_is_in_the_prompt_once_and_in_order(string file)
    {
        var prompt = Render(Template(file), History, Tools);
        var at = -1;
        foreach (var word in new[] { "Bern", "Genf", "Thanks." })
            Assert.True((at = prompt.IndexOf(word, at + 1, StringComparison.Ordinal)) >= 0, $"{word}: {prompt}");
        foreach (var word in new[] { "Of a place", "Weather?", "rain", "sun" }) Assert.Equal(2, prompt.Split(word).Length);
        Assert.DoesNotContain("\\\"place", prompt);
    }

    [Fact]
    public void A_template_that_takes_one_call_a_message_gets_each_with_its_result() => Assert.Contains(
        """
        <|start_header_id|>assistant<|end_header_id|>

        {"name": "weather", "parameters": {"place": "Bern"}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>

        "rain"<|eot_id|><|start_header_id|>assistant<|end_header_id|>

        {"name": "weather", "parameters": {"place": "Genf"}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>

        "sun"<|eot_id|>
        """,
        Render(Template("llama-3.1.jinja"), History, Tools));

    [Fact]
    public void A_template_that_wants_arguments_as_text_gets_text()
    {
        var template = ChatTemplate.Parse(
            "{%- for m in messages %}[{{ m.role }}]{% for c in m.tool_calls or [] %}{{ c.function.name + '(' + c.function.arguments + ')' }}{% endfor %}"
            + "{{ m.content }}{% endfor -%}");
        Assert.Contains("weather({\"place\":\"Bern\"})weather({\"place\":\"Genf\"})[tool]rain[tool]sun", Render(template, History, null));
    }

    [Fact]
    public void A_template_that_wants_arguments_as_an_object_gets_an_object_and_several_calls_at_once()
    {
        var template = ChatTemplate.Parse("""
            {%- for m in messages %}[{{ m.role }}{{ m.name }}]{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ m.content }}{% endfor -%}
            """);
        Assert.Contains(
            """{"name": "weather", "arguments": {"place": "Bern"}}{"name": "weather", "arguments": {"place": "Genf"}}[toolweather]rain[toolweather]sun""",
            Render(template, History, null));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\\\"place\\\": \\\"Be")]
    [InlineData("[1]")]
    public void Arguments_that_are_no_object_do_not_end_the_conversation(string arguments)
        => Assert.Contains("rain", Render(Template("llama-3.1.jinja"), $$$"""
            [{"role":"user","content":"a"},
             {"role":"assistant","tool_calls":[{"id":"c","function":{"name":"weather","arguments":"{{{arguments}}}"}}]},
             {"role":"tool","tool_call_id":"c","content":"rain"}]
            """, Tools));

    [Fact]
    public void A_template_without_system_messages_tells_of_functions_in_the_first_message_of_the_user()
    {
        var template = ChatTemplate.Parse("""
            {%- for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor -%}
            """);
        var prompt = Render(template, """[{"role":"user","content":"Weather?"}]""", Tools);
        Assert.StartsWith("<user>You can call functions.", prompt);
        Assert.EndsWith("\n\nWeather?", prompt);
    }

    [Fact]
    public void What_has_neither_functions_nor_calls_renders_as_ever()
    {
        const string Plain = """[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]""";
        var template = Template("llama-3.1.jinja");
        Assert.Equal(template.RenderAsGiven(InputOf(Plain, null)), Render(template, Plain, null));
    }

    static ChatTemplate Template(string file) => ChatTemplate.Parse(File.ReadAllText(SharedFiles.Fixture($"templates/{file}")));

    static string Render(ChatTemplate template, string messages, string? tools) => template.Render(InputOf(messages, tools));

    static ChatTemplateInput InputOf(string messages, string? tools)
        => new() { Messages = JsonNode.Parse(messages)!, Tools = tools is null ? null : JsonNode.Parse(tools), Now = DateTimeOffset.UnixEpoch };
}
