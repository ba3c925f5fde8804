using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A template as requests of Ollama's clients have them: read, and rendered with conversations that have everything in them.</summary>
sealed class GoTemplateTarget : ITarget
{
    static readonly ChatTemplateInput WithSuffix = TemplateTarget.Plain with { Variables = new Dictionary<string, JsonNode?> { [GoTemplate.Suffix] = "end" } };

    public IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. JsonNode.Parse(File.ReadAllText(SharedFiles.Fixture("go-templates/templates.json")))!["templates"]!.AsArray()
            .Select(template => Encoding.UTF8.GetBytes((string)template!["source"]!)),
    ];

    public IReadOnlyList<string> Words { get; } =
    [
        "{{", "}}", "{{- ", " -}}", "{{/*", "*/}}", " if ", " else ", " else if ", " end ", " with ", " range ", " break ", " continue ", " define ",
        " template ", " block ", " $x := ", " $x = ", "$x, $y := ", "$", "$x", ".", ".System", ".Prompt", ".Response", ".Suffix", ".Messages", ".Role",
        ".Content", ".Tools", ".ToolCalls", ".Function", ".Arguments", ".Parameters", ".Properties", " and ", " or ", " not ", " eq ", " ne ", " lt ", " len ",
        " index ", " slice ", " print ", " printf ", " json ", "\"%s\"", "\"%-9999d\"", "\"%.3f\"", "%q", "(", ")", "|", "\"", "`", "nil", "true",
        "9223372036854775807", "1e308", "-1", "0", "\n",
    ];

    public void Run(byte[] input)
    {
        try
        {
            var template = GoTemplate.Parse(Encoding.UTF8.GetString(input));
            Render(template, TemplateTarget.Plain);
            Render(template, TemplateTarget.WithTools);
            Render(template, WithSuffix);
        }
        catch (GoTemplateException refused)
        {
            Refusals.Check(refused);
        }
    }

    public void Dispose() { }

    static void Render(GoTemplate template, ChatTemplateInput input)
    {
        try
        {
            template.Render(input);
        }
        catch (GoTemplateException refused)
        {
            Refusals.Check(refused);
        }
    }
}
