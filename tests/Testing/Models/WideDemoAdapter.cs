using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>An adapter of the demo model, with random numbers, whose vocabulary has the words zyxw0 to zyxw7 beside the model's.</summary>
public static class WideDemoAdapter
{
    /// <summary>Ids from here on are the adapter's own: zyxw0, zyxw1...</summary>
    public const int FirstOwn = 2048;

    const int More = 8;

    /// <summary>Writes the folder, with the tokenizer; gives its path.</summary>
    /// <param name="config">The demo model's.</param>
    public static string Write(string folder, LlamaConfig config)
    {
        new SyntheticAdapter(config)
        {
            Seed = 9,
            WholeRows = FirstOwn + More,
            Type = TensorType.F16,
            Changes = target => target.Part is "attn_q" or "output",
        }.WritePeft(folder);
        foreach (var name in new[] { "tokenizer_config.json", "special_tokens_map.json" })
            File.Copy(Path.Combine(SharedFiles.Demo("hf"), name), Path.Combine(folder, name));
        var tokenizer = JsonNode.Parse(File.ReadAllText(Path.Combine(SharedFiles.Demo("hf"), "tokenizer.json")))!;
        for (var i = 0; i < More; i++)
            tokenizer["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = FirstOwn + i, ["content"] = $"zyxw{i}", ["special"] = false });
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        return folder;
    }
}
