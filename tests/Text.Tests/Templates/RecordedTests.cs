using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.Templates;

/// <summary>Compares what this project renders with what Jinja2 rendered, as recorded by tests/Fixtures/templates/record.py.</summary>
public sealed class RecordedTests
{
    static readonly DateTimeOffset Now = new DateTimeOffset(2026, 3, 7, 5, 4, 9, TimeSpan.Zero).AddMicroseconds(80);

    public static TheoryData<string> Templates =>
        [.. Directory.GetFiles(SharedFiles.Fixture("templates"), "*.jinja").Select(path => Path.GetFileName(path)).Order()];

    /// <summary>
    /// Llama 3.3's template is 3.1's: the fixtures' README says where that is to be seen. Among the conversations are no, one and two calls, calls beside null
    /// content, and arguments that are an object or a text.
    /// </summary>
    [Theory]
    [MemberData(nameof(Templates))]
    public void Official_templates_render_conversations_as_Jinja2_does(string file)
    {
        var template = ChatTemplate.Parse(File.ReadAllText(SharedFiles.Fixture($"templates/{file}")));
        var conversations = Read("conversations.json").ToDictionary(conversation => (string)conversation["name"]!);
        var records = Read("prompts.json").Where(record => (string)record["template"]! == file).ToList();

        var differences = records.Select(record => Difference(record, () => template.RenderAsGiven(InputOf(conversations[(string)record["conversation"]!]))));

        Assert.Equal(conversations.Count, records.Count);
        AssertNone(differences);
    }

    [Theory]
    [InlineData("cases.json")]
    [InlineData("random.json")]
    public void Small_templates_render_as_Jinja2_does(string file)
    {
        var variables = JsonNode.Parse(File.ReadAllText(SharedFiles.Fixture("templates/variables.json")))!.AsObject().ToDictionary();
        var input = new ChatTemplateInput { Messages = new JsonArray(), Now = Now, Variables = variables };

        AssertNone(Read(file).Select(record => Difference(record, () => ChatTemplate.Parse((string)record["source"]!).RenderAsGiven(input))));
    }

    static ChatTemplateInput InputOf(JsonNode conversation) => new()
    {
        Messages = conversation["messages"]!,
        Tools = conversation["tools"],
        AddGenerationPrompt = (bool?)conversation["add_generation_prompt"] ?? true,
        BosToken = "<s>",
        EosToken = "</s>",
        Now = Now,
        Variables = conversation["variables"]?.AsObject().ToDictionary() ?? [],
    };

    /// <summary>Null if the template renders or fails as recorded. The words of a failure must agree only for raise_exception.</summary>
    static string? Difference(JsonNode record, Func<string> render)
    {
        var place = (string?)record["conversation"] ?? (string)record["source"]!;
        try
        {
            var output = render();
            return output == (string?)record["output"]
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"{place}\n  wanted {record}\n  got    {JsonSerializer.Serialize(output)}");
        }
        catch (ChatTemplateException failure)
        {
            var isWanted = failure.RaisedByTemplate ? failure.Reason == ((string?)record["raised"])?.ReplaceLineEndings(" ") : record["error"] is not null;
            return isWanted ? null : $"{place}\n  wanted {record}\n  got    {failure.Message}";
        }
    }

    static void AssertNone(IEnumerable<string?> differences)
    {
        var found = differences.OfType<string>().ToList();
        Assert.True(found.Count == 0, $"{found.Count} differences:\n{string.Join("\n", found.Take(40))}");
    }

    static IEnumerable<JsonNode> Read(string file) =>
        JsonNode.Parse(File.ReadAllText(SharedFiles.Fixture($"templates/{file}")))!.AsArray().Select(node => node!);
}
