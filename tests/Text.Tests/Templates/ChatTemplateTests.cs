using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.Templates;

public sealed class ChatTemplateTests
{
    [Fact]
    public void Renders_the_demo_models_template()
    {
        var config = JsonNode.Parse(File.ReadAllText(SharedFiles.Demo("hf/tokenizer_config.json")))!;
        var template = ChatTemplate.Parse((string)config["chat_template"]!);

        var prompt = template.Render(
            Chat("""[{"role":"system","content":" Be brief. "},{"role":"user","content":"What is a KV cache?"}]""") with { BosToken = "<|begin_of_text|>" });

        Assert.Equal(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
            "<|start_header_id|>user<|end_header_id|>\n\nWhat is a KV cache?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            prompt);
    }

    [Theory]
    [InlineData("a\n{{ 1 | nope }}", 2, "no filter named 'nope'")]
    [InlineData("a\n\n{{ 1 is nope }}", 3, "no test named 'nope'")]
    [InlineData("{% if true %}\n{% nope %}\n{% endif %}", 2, "unknown tag 'nope'; expected here is 'elif' or 'else' or 'endif'")]
    [InlineData("\n{% include 'x' %}", 2, "the tag 'include' is not supported in chat templates")]
    [InlineData("\n{% if true %}\n\n", 2, "the block 'if' that starts here is not closed: 'elif' or 'else' or 'endif' is missing")]
    [InlineData("\n{% for x in messages recursive %}{% endfor %}", 2, "recursive loops are not supported")]
    [InlineData("\n{{ 'a'", 2, "missing '}}' of the tag that starts here")]
    [InlineData("\n{{ 'a }}", 2, "a string is not closed")]
    [InlineData("\n{# a", 2, "missing end of comment tag '#}'")]
    [InlineData("\n{% raw %}", 2, "missing '{% endraw %}'")]
    [InlineData("{{ 1 +\n }}", 2, "expected an expression, found '}}'")]
    [InlineData("{% break %}", 1, "'break' outside of a loop")]
    [InlineData("{{ '\\N{BULLET}' }}", 1, "\\N{...} in a string is not supported; write the character itself")]
    public void A_template_that_cannot_be_read_says_where_and_why(string source, int line, string reason)
    {
        var failure = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source));

        Assert.Equal((line, reason, false), (failure.Line, failure.Reason, failure.RaisedByTemplate));
        Assert.Equal($"chat template, line {line}: {reason}", failure.Message);
    }

    [Theory]
    [InlineData("a\n{{ messages[0].content.x.y }}", 2, "'str object' has no attribute 'x'")]
    [InlineData("{% if false %}\n{{ 1 | nope }}{% else %}\n\n{{ 1 | nope }}{% endif %}", 4, "no filter named 'nope'")]
    [InlineData("{{ messages.append(1) }}", 1, "'append' of 'list' is refused: a template may not change its values; make a new one, such as list + [item]")]
    [InlineData("{{ undefined_name.x }}", 1, "'undefined_name' is undefined")]
    [InlineData("{{ strftime_now('%E') }}", 1, "the time code '%E' is not supported")]
    public void A_rendering_that_fails_says_where_and_why(string source, int line, string reason)
    {
        var template = ChatTemplate.Parse(source);

        var failure = Assert.Throws<ChatTemplateException>(() => template.Render(Chat("""[{"role":"user","content":"a"}]""")));

        Assert.Equal((line, reason, false), (failure.Line, failure.Reason, failure.RaisedByTemplate));
    }

    [Fact]
    public void A_conversation_that_the_template_refuses_gives_its_words_in_one_line()
    {
        var template = ChatTemplate.Parse("\n{{ raise_exception('Roles must\nalternate') }}");

        var failure = Assert.Throws<ChatTemplateException>(() => template.Render(Chat("[]")));

        Assert.True(failure.RaisedByTemplate);
        Assert.Equal("Roles must alternate", failure.Reason);
        Assert.Equal("chat template, line 2: Roles must alternate", failure.Message);
    }

    [Fact]
    public void Further_variables_win_over_the_usual_ones()
    {
        var variables = new Dictionary<string, JsonNode?> { ["bos_token"] = "<other>", ["thinking"] = JsonValue.Create(false), ["nothing"] = null };

        var prompt = ChatTemplate.Parse("{{ bos_token }} {{ thinking }} {{ nothing }} {{ tools }} {{ add_generation_prompt }} {{ eos_token }}")
            .Render(Chat("[]") with { BosToken = "<s>", EosToken = "</s>", Variables = variables, AddGenerationPrompt = false });

        Assert.Equal("<other> False None None False </s>", prompt);
    }

    [Fact]
    public void Numbers_keep_their_kind_and_keys_their_order()
    {
        var prompt = ChatTemplate.Parse("{{ messages | tojson }}{{ messages[0] }}").Render(Chat("""[{"z":1.0,"a":1,"m":1e2,"-":-0,"f":0.1}]"""));

        Assert.Equal("""[{"z": 1.0, "a": 1, "m": 100.0, "-": 0, "f": 0.1}]{'z': 1.0, 'a': 1, 'm': 100.0, '-': 0, 'f': 0.1}""", prompt);
    }

    [Fact]
    public void Of_a_key_given_twice_the_last_counts() =>
        Assert.Equal("b", ChatTemplate.Parse("{{ messages[0].role }}").Render(Chat("""[{"role":"a","role":"b"}]""")));

    [Theory]
    [InlineData("[12345678901234567890]", "the variable 'messages' cannot be used: 12345678901234567890 does not fit a 64-bit integer")]
    [InlineData("""["\ud800"]""", "the variable 'messages' cannot be used")]
    public void Input_that_has_no_value_in_a_template_is_refused(string messages, string reason)
    {
        var failure = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse("").Render(Chat(messages)));

        Assert.StartsWith(reason, failure.Reason);
    }

    [Fact]
    public void One_template_renders_on_several_threads_at_once()
    {
        var template = ChatTemplate.Parse("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m %}{% endfor %}{{ ns.n }}");

        Parallel.For(0, 200, i => Assert.Equal($"{i * 3}", template.Render(Chat($"[{i},{i},{i}]"))));
    }

    static ChatTemplateInput Chat(string messages) => new() { Messages = JsonNode.Parse(messages)!, Now = DateTimeOffset.UnixEpoch };
}
