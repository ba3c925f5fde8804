using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Token ids that clients send: whole numbers within the vocabulary.</summary>
static class TokenIds
{
    /// <summary>The id; 0 after refusing it.</summary>
    public static int Read(FieldReader fields, string name, JsonElement element, ServedModel model)
    {
        if (element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var id) && id >= 0 && id < model.Tokenizer.VocabularySize) return id;
        fields.Refuse(name, $"'{fields.PathOf(name)}' must hold token ids from 0 to {model.Tokenizer.VocabularySize - 1}, not {JsonText.Excerpt(element)}.");
        return 0;
    }

    public static IReadOnlyList<int> ReadAll(FieldReader fields, string name, IEnumerable<JsonElement> elements, ServedModel model)
        => [.. elements.TakeWhile(_ => fields.Error is null).Select(element => Read(fields, name, element, model))];
}
