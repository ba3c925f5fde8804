using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization;

/// <summary>What other libraries made of texts: see tests/Fixtures/tokenizers/record.py.</summary>
static class Recorded
{
    public static JsonNode Texts { get; } = Read("texts.json");

    public static string[] PlainTexts { get; } = Texts["plain"].Deserialize<string[]>()!;

    public static string[] SpecialTexts { get; } = Texts["special"].Deserialize<string[]>()!;

    public static string PathOf(string name) => Path.Combine(SharedFiles.Fixture("tokenizers"), name);

    public static JsonNode Read(string name) => JsonNode.Parse(File.ReadAllBytes(PathOf(name)))!;

    public static int[][] Ids(JsonNode node) => node.Deserialize<int[][]>()!;

    /// <summary>A copy in which the fields at dotted paths have other values.</summary>
    public static JsonNode Patched(JsonNode tokenizer, JsonObject patch)
    {
        var result = tokenizer.DeepClone();
        foreach (var (path, value) in patch)
        {
            var names = path.Split('.');
            var target = names[..^1].Aggregate(result, (node, name) => node[name]!);
            target[names[^1]] = value?.DeepClone();
        }
        return result;
    }
}
