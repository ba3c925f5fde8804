using System.Text.Json;
using System.Text.Unicode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>Reads JSON that may be hostile: of bounded size and depth, without comments, without a name twice in one object.</summary>
static class JsonFile
{
    const int MaxBytes = 64 << 20;
    const int MaxDepth = 16;

    public static JsonFields Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed for JSON");
        var json = new byte[file.Length];
        file.Read(0, json);
        return Parse(file, "the file", json);
    }

    /// <param name="part">What of the file this is, for errors.</param>
    public static JsonFields Parse(ModelFile file, string part, ReadOnlyMemory<byte> json)
    {
        if (!Utf8.IsValid(json.Span)) throw file.Error($"{part} is not UTF-8");
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind is not JsonValueKind.Object) throw file.Error($"{part} is not a JSON object");
            return new JsonFields(file.Path, "", document.RootElement.Clone());
        }
        // The latter where a name has an escape that stands for half a character.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw file.Error(file.IsLfsPointer() ? ModelFile.LfsPointerProblem : $"{part} is not valid JSON: {ErrorText.Sentence(e.Message)}", e);
        }
    }
}
