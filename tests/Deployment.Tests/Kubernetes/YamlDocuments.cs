using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>YAML as the Kubernetes API reads it: JSON with other signs. A key that is there twice is an error.</summary>
static class YamlDocuments
{
    public static IReadOnlyList<JsonNode> Parse(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(document => ToJson(document.RootNode)).OfType<JsonNode>()];
    }

    static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(child => KeyValuePair.Create(((YamlScalarNode)child.Key).Value!, ToJson(child.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(ToJson)]),
        YamlScalarNode { Style: ScalarStyle.Plain } plain => Plain(plain.Value ?? ""),
        YamlScalarNode text => JsonValue.Create(text.Value),
        _ => throw new NotSupportedException($"{node.NodeType} at {node.Start}"),
    };

    static JsonNode? Plain(string text) => text switch
    {
        "" or "null" or "~" => null,
        "true" => JsonValue.Create(true),
        "false" => JsonValue.Create(false),
        _ when text.Length > 1 && text[0] == '0' && text.All(char.IsAsciiDigit) => Number(Convert.ToInt64(text, 8).ToString(CultureInfo.InvariantCulture)),
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)
            => Number(whole.ToString(CultureInfo.InvariantCulture)),
        _ when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
        _ => JsonValue.Create(text),
    };

    /// <summary>A number that can be taken as any type of number.</summary>
    static JsonNode? Number(string text) => JsonNode.Parse(text);
}
