using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlamaCluster.Text.Grammars;

/// <summary>What a <see cref="GrammarSource"/> is written in. The numbers travel: they only grow.</summary>
public enum GrammarKind
{
    None = 0,

    /// <summary>A JSON Schema (2020-12), as JSON: the answer is a JSON value that it accepts.</summary>
    JsonSchema = 1,

    /// <summary>Any JSON object; there is no text.</summary>
    JsonObject = 2,

    /// <summary>A regular expression (ECMA-262), which the whole answer matches.</summary>
    Regex = 3,

    /// <summary>A JSON array of texts, one of which is the answer.</summary>
    Choice = 4,

    /// <summary>GBNF, llama.cpp's notation; the answer is what the rule "root" describes.</summary>
    Gbnf = 5,

    /// <summary>JSON values by schemas, each between two texts: see <see cref="GrammarSource.OfTags"/>.</summary>
    Tags = 6,
}

/// <summary>A JSON value in an answer, between two texts.</summary>
/// <param name="Begin">What comes before it, such as "&lt;tool_call&gt;". It may be empty.</param>
/// <param name="Schema">The value's JSON Schema.</param>
/// <param name="End">What comes after it. It may be empty.</param>
public sealed record GrammarTag(string Begin, JsonNode? Schema, string End);

/// <summary>
/// The form that an answer must have, as it was written. It is what travels to workers, and what compiled grammars are found by.
/// <see cref="GrammarCompiler.Compile"/> says whether it can be enforced.
/// </summary>
public sealed record GrammarSource(GrammarKind Kind, string Text)
{
    static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 1000 };

    /// <summary>Any JSON object.</summary>
    public static GrammarSource AnyObject { get; } = new(GrammarKind.JsonObject, "");

    public static GrammarSource OfSchema(JsonNode? schema) => new(GrammarKind.JsonSchema, Write(schema));

    /// <summary>One tagged value, or several with <paramref name="separator"/> between them. Each is of any of the tags.</summary>
    /// <param name="most">The most values; 0: any number.</param>
    public static GrammarSource OfTags(IEnumerable<GrammarTag> tags, string separator = "", int most = 1)
    {
        var written = tags.Select(tag => (JsonNode)new JsonObject { ["begin"] = tag.Begin, ["schema"] = tag.Schema?.DeepClone(), ["end"] = tag.End });
        return new(GrammarKind.Tags, Write(new JsonObject { ["tags"] = new JsonArray([.. written]), ["separator"] = separator, ["most"] = most }));
    }

    static string Write(JsonNode? node) => node?.ToJsonString(Plain) ?? "null";
}
