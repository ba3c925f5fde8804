using System.Text.Json;
using System.Text.Unicode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Reads the JSON object at the start of a safetensors file in one pass, entry by entry: the object as a whole would take twenty times its
/// size in memory.
/// </summary>
static class SafetensorsHeader
{
    /// <summary>The format allows 100 MB. That of a Llama of 405 billion numbers has 0.2 MB in all its files together.</summary>
    public const int MaxBytes = 16 << 20;

    const string MetadataName = "__metadata__";
    const int MaxTensors = 1 << 16;
    const int MaxDepth = 16;

    /// <summary>What the header says of each tensor, by the tensor's name.</summary>
    public static Dictionary<string, JsonFields> Read(ModelFile file, byte[] json)
    {
        if (!Utf8.IsValid(json)) throw file.Error("the header is not UTF-8");
        try
        {
            return ReadEntries(file, json);
        }
        // The latter where a name has an escape that stands for half a character.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw file.Error($"the header is not valid JSON: {ErrorText.Sentence(e.Message)}", e);
        }
    }

    static Dictionary<string, JsonFields> ReadEntries(ModelFile file, byte[] json)
    {
        var entries = new Dictionary<string, JsonFields>(StringComparer.Ordinal);
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        if (reader.Read() && reader.TokenType is not JsonTokenType.StartObject) throw file.Error("the header is not a JSON object");
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (name == MetadataName) continue;
            if (entries.Count == MaxTensors) throw file.Error($"the header has more than {MaxTensors} tensors");
            if (!entries.TryAdd(name, JsonFile.ParseField(file, name, json.AsMemory(start..(int)reader.BytesConsumed))))
                throw file.Error($"tensor {ErrorText.Quote(name)} is there twice");
        }
        reader.Read(); // refuses what follows the object
        return entries;
    }
}
