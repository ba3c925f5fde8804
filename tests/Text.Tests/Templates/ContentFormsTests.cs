using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.Templates;

/// <summary>A template gets the content of messages in the form that it reads, so that no words are lost.</summary>
public sealed class ContentFormsTests
{
    const string AsText = """[{"role":"user","content":"Hello there"}]""";
    const string AsParts = """[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"text","text":"there"}]}]""";

    /// <summary>Knows parts only.</summary>
    const string PartsOnly = """
        {%- for m in messages %}<{{ m['role'] }}>
            {%- for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] | trim }}|{% endif %}{% endfor %}
        {%- endfor -%}
        """;

    /// <summary>Knows both.</summary>
    const string Both = """
        {%- for m in messages %}<{{ m.role }}>
            {%- if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}
        {%- endfor -%}
        """;

    /// <summary>The system message is a text, all others are parts.</summary>
    const string Mixed = """
        {%- for m in messages %}<{{ m.role }}>
            {%- if m.role == 'system' %}{{ m.content + '!' }}{% else %}{% for part in m.content %}{{ part['text'] }}{% endfor %}{% endif %}
        {%- endfor -%}
        """;

    [Theory]
    [InlineData(AsText, "<user>Hello there|")]
    [InlineData(AsParts, "<user>Hello|there|")]
    [InlineData("""[{"role":"assistant","content":null}]""", "<assistant>")]
    [InlineData("""[{"role":"assistant"}]""", "<assistant>")]
    [InlineData("""[{"role":"tool","content":"12"}]""", "<tool>12|")]
    [InlineData("""[{"role":"user","content":""}]""", "<user>|")]
    public void ATemplateThatGoesThroughPartsGetsParts(string messages, string expected) => Assert.Equal(expected, Render(PartsOnly, messages));

    [Theory]
    [InlineData(AsText, "<user>Hello there")]
    [InlineData(AsParts, "<user>Hello\nthere")]
    [InlineData("""[{"role":"user","content":[]}]""", "<user>")]
    public void ATemplateThatKnowsTextGetsText(string messages, string expected) =>
        Assert.Equal(expected, Render("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}", messages));

    [Theory]
    [InlineData(AsText, "<user>Hello there")]
    [InlineData(AsParts, "<user>Hellothere")]
    public void ATemplateThatKnowsBothGetsWhatCame(string messages, string expected) => Assert.Equal(expected, Render(Both, messages));

    [Fact]
    public void EachRoleHasAFormOfItsOwn() => Assert.Equal(
        "<system>Be brief!<user>Hello there<assistant>Hi",
        Render(Mixed, """
            [{"role":"system","content":[{"type":"text","text":"Be brief"}]},{"role":"user","content":"Hello there"},{"role":"assistant","content":"Hi"}]
            """));

    [Theory]
    [InlineData("{% if messages[0].role != 'system' %}{{ raise_exception('system first') }}{% endif %}")]
    [InlineData("{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}")]
    [InlineData("{% if messages[-1].role != 'assistant' %}{{ raise_exception('nothing to judge') }}{% endif %}")]
    [InlineData("{% if messages | length < 3 %}{{ raise_exception('too short') }}{% endif %}")]
    public void ATemplateThatRefusesSomeConversationsIsTriedWithOthers(string rule)
    {
        const string Conversation = """[{"role":"ROLE","content":"one"},{"role":"user","content":"two"},{"role":"assistant","content":"three"}]""";
        foreach (var role in (string[])["system", "user"])
        {
            var prompt = TryRender(rule + PartsOnly, Conversation.Replace("ROLE", role));
            Assert.True(prompt is null || prompt.EndsWith("<user>two|<assistant>three|", StringComparison.Ordinal), prompt);
        }
        string[] conversations = [Conversation.Replace("ROLE", "system"), AsText.Replace("Hello there", "two")];
        Assert.Contains("<user>two|", conversations.Select(messages => TryRender(rule + PartsOnly, messages)).First(prompt => prompt is not null));
    }

    [Fact]
    public void APartThatIsNoTextIsLeftAsItCame() => Assert.Equal(
        "[{'type': 'image'}]", Render("{% for m in messages %}{{ m.content }}{% endfor %}", """[{"role":"user","content":[{"type":"image"}]}]"""));

    [Fact]
    public void ATemplateThatChangesTheWordsIsUnderstood() => Assert.Equal(
        "HELLO\nTHERE", Render("{% for m in messages %}{{ m.content | upper }}{% endfor %}", AsParts));

    [Fact]
    public void ATemplateThatShowsNothingGetsWhatCame() => Assert.Equal("2", Render("{{ messages[0].content | length }}", AsParts));

    public static TheoryData<string> Templates => RecordedTests.Templates;

    [Theory]
    [MemberData(nameof(Templates))]
    public void OfficialTemplatesWriteAPartAsTheyWriteItsText(string file)
    {
        var source = File.ReadAllText(SharedFiles.Fixture($"templates/{file}"));

        Assert.Equal(Render(source, AsText), Render(source, """[{"role":"user","content":[{"type":"text","text":"Hello there"}]}]"""));
    }

    static string? TryRender(string source, string messages)
    {
        try
        {
            return Render(source, messages);
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }

    static string Render(string source, string messages) =>
        ChatTemplate.Parse(source).Render(new() { Messages = JsonNode.Parse(messages)!, Now = DateTimeOffset.UnixEpoch, AddGenerationPrompt = false });
}
