using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text.Tests.GoTemplates;

/// <summary>Compares what this project renders with what Go's text/template rendered, as recorded by tests/Fixtures/go-templates/record.go.</summary>
public sealed class RecordedTests
{
    [Fact]
    public void Templates_render_as_Go_does()
    {
        var given = Read("templates.json");
        var sources = given["templates"]!.AsArray().ToDictionary(template => (string)template!["name"]!, template => (string)template!["source"]!);
        var conversations = given["conversations"]!.AsArray().ToDictionary(conversation => (string)conversation!["name"]!, conversation => conversation!);
        var records = Read("prompts.json")["prompts"]!.AsArray().Select(record => record!).ToList();

        var differences = records
            .Select(record => Difference(record, sources[(string)record["template"]!], conversations[(string)record["conversation"]!]))
            .OfType<string>().ToList();

        Assert.True(records.Count > 200, $"{records.Count} records");
        Assert.True(differences.Count == 0, $"{differences.Count} differences:\n{string.Join("\n", differences.Take(40))}");
    }

    /// <summary>Null if the template renders or fails as recorded. The words of failures are our own.</summary>
    static string? Difference(JsonNode record, string source, JsonNode conversation)
    {
        string got;
        try
        {
            got = GoTemplate.Parse(source).Render(new ChatTemplateInput
            {
                Messages = conversation["messages"]!,
                Tools = conversation["tools"],
                Variables = conversation["variables"]?.AsObject().ToDictionary() ?? [],
                Now = DateTimeOffset.UnixEpoch,
            });
            if (record["error"] is null && got == (string?)record["output"]) return null;
        }
        catch (GoTemplateException failure)
        {
            if (record["error"] is not null) return null;
            got = failure.Message;
        }
        return $"{record["template"]}, {record["conversation"]}\n  wanted {record["error"] ?? record["output"]}\n  got    {got}";
    }

    static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(SharedFiles.Fixture($"go-templates/{file}")))!;
}
