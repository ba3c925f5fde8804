using System.Text.Json.Nodes;
using LlamaCluster.Text.Templates;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Tests.Templates;

/// <summary>Templates are not trusted: whatever one does ends soon, within the limits, and with a message of one line that says why.</summary>
public sealed class TemplateLimitTests
{
    const int SmallStack = 1 << 20;

    static readonly TemplateLimits Tight = new() { Steps = 200_000, Characters = 1_000_000 };

    [Theory]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "characters")]
    [InlineData("{% set l = [1, 2] * 1000000000 %}", "steps")]
    [InlineData("{% set l = ('a' * 900000) | list %}", "characters")]
    [InlineData("{% set big = 'a' * 900000 %}{% for i in range(100000) %}{{ 'b' in big }}{% endfor %}", "steps")]
    [InlineData("{{ 'a' * 10 ** 9 }}", "characters")]
    [InlineData("{{ 'aa' * 9 * 10 ** 18 }}", "characters")]
    [InlineData("{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "characters")]
    [InlineData("{% set ns = namespace(l=['a']) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "characters")]
    [InlineData("{% set ns = namespace(l=['a']) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}", "characters")]
    [InlineData("{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 100 }}{% endfor %}", "characters")]
    [InlineData("{{ 'a'.center(10 ** 12) }}", "characters")]
    [InlineData("{{ ('a' * 100000).replace('', 'b' * 100000) }}", "characters")]
    [InlineData("{{ ('a' * 100000) | join('b' * 100000) }}", "characters")]
    [InlineData("{{ '%999999999d' % 1 }}", "width")]
    [InlineData("{{ '{:999999999}'.format(1) }}", "width")]
    [InlineData("{{ range(10 ** 9) }}", "range() of more than 100,000 elements")]
    [InlineData("{{ 2 ** 64 }}", "64-bit integer")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "64-bit integer")]
    [InlineData("{{ 99999999999999999999 }}", "64-bit integer")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper")]
    [InlineData("{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{% call m() %}{% endcall %}", "nested deeper")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", "levels")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l }}", "levels")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = ns.l | map('string') %}{% endfor %}{{ ns.l | list }}", "levels")]
    public void A_rendering_stops_at_its_limits(string source, string reason)
    {
        var failure = OnSmallStack(() => Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).RenderAsGiven(NoMessages, Tight)));

        Assert.Contains(reason, failure.Message);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Theory]
    [InlineData("{{ \u001b }}", "chat template, line 1: unexpected character '\\u001b'")]
    [InlineData("{{ raise_exception('a\u001b[2Jb\nc') }}", "chat template, line 1: a\\u001b[2Jb c")]
    public void What_a_template_says_cannot_steer_a_terminal(string source, string message) =>
        Assert.Equal(message, Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).RenderAsGiven(NoMessages, Tight)).Message);

    [Fact]
    public void Two_values_that_share_their_parts_are_compared_within_the_limits()
    {
        const string Source = """
            {%- set ns = namespace(a=[1], b=[1]) -%}
            {%- for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor -%}
            {{ ns.a == ns.b }}
            """;

        Assert.Contains("steps", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(Source).RenderAsGiven(NoMessages, Tight)).Message);
    }

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("{1:", "}")]
    [InlineData("not ", "")]
    [InlineData("-", "")]
    [InlineData("x[", "]")]
    [InlineData("f(", ")")]
    [InlineData("1 if 1 else ", "")]
    [InlineData("a is b(", ")")]
    public void An_expression_nested_too_deep_is_not_read(string opening, string closing) =>
        AssertNotRead("{{ " + string.Concat(Enumerable.Repeat(opening, 20_000)) + "1" + string.Concat(Enumerable.Repeat(closing, 20_000)) + " }}");

    [Theory]
    [InlineData("{% if x %}")]
    [InlineData("{% for x in y %}")]
    [InlineData("{% macro m() %}")]
    [InlineData("{% set x %}")]
    public void Blocks_nested_too_deep_are_not_read(string opening) => AssertNotRead(string.Concat(Enumerable.Repeat(opening, 20_000)));

    [Theory]
    [InlineData("{{ 1", " + 1", "nested deeper")]
    [InlineData("{{ x", ".x", "nested deeper")]
    [InlineData("{{ x", " | upper", "nested deeper")]
    [InlineData("{{ x", " or x", "nested deeper")]
    public void A_long_chain_of_operators_is_not_followed(string start, string link, string reason)
    {
        var template = ChatTemplate.Parse(start + string.Concat(Enumerable.Repeat(link, 50_000)) + " }}");

        var failure = OnSmallStack(() => Assert.Throws<ChatTemplateException>(() => template.Render(NoMessages)));

        Assert.Contains(reason, failure.Message);
    }

    [Fact]
    public void Long_flat_templates_are_fine()
    {
        var source = string.Concat(Enumerable.Repeat("{% if false %}{% elif true %}a{% endif %}{{ 'b' ~ 'c' }}", 2_000));

        Assert.Equal(6_000, ChatTemplate.Parse(source).Render(NoMessages).Length);
    }

    [Fact]
    public void A_template_of_over_a_million_characters_is_not_read() =>
        Assert.Contains("characters", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(new string('a', (1 << 20) + 1))).Message);

    [Fact]
    public void Long_conversations_have_room_in_proportion()
    {
        var content = new string('x', 20 << 20);
        var input = NoMessages with { Messages = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = content }) };

        var prompt = ChatTemplate.Parse(
            "{% for m in messages %}{% set c = '<' + m.role + '>' + m.content | trim + '</s>' %}{{ bos_token + c }}{% endfor %}").Render(input);

        Assert.Equal(content.Length + "<user></s>".Length, prompt.Length);
    }

    static ChatTemplateInput NoMessages { get; } = new() { Messages = new JsonArray(), Now = DateTimeOffset.UnixEpoch };

    static void AssertNotRead(string source)
    {
        var failure = OnSmallStack(() => Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source)));

        Assert.Contains("nested deeper than 100 levels", failure.Message);
    }

    /// <summary>Runs on a thread with less stack than any that serves requests.</summary>
    static T OnSmallStack<T>(Func<T> run)
    {
        var result = default(T);
        Exception? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    result = run();
                }
                catch (Exception thrown)
                {
                    failure = thrown;
                }
            },
            SmallStack);
        thread.Start();
        thread.Join();
        return failure is null ? result! : throw new InvalidOperationException("failed on its thread", failure);
    }
}
