using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads a field with one prompt or several: a text, token ids, or a list of either.</summary>
static class RawPrompts
{
    /// <param name="most">How many there may be.</param>
    public static IReadOnlyList<RawPrompt> Read(FieldReader fields, string name, int most, int vocabulary)
        => fields.Find(name) is { ValueKind: JsonValueKind.Array } list
            ? ReadList(fields, name, list, most, vocabulary)
            : [ReadText(fields, name, $"'{name}' is required.")];

    /// <param name="missing">What to say where there is no prompt.</param>
    public static RawPrompt.Text ReadText(FieldReader fields, string name, string missing)
    {
        if (fields.Find(name) is null) fields.Refuse(name, missing);
        return new(fields.Text(name) ?? "");
    }

    /// <summary>A list is one prompt of token ids, or several prompts: texts or lists of ids.</summary>
    static IReadOnlyList<RawPrompt> ReadList(FieldReader fields, string name, JsonElement list, int most, int vocabulary)
    {
        if (list.GetArrayLength() == 0)
        {
            fields.Refuse(name, $"'{name}' must not be an empty list.");
            return [];
        }
        if (list[0].ValueKind == JsonValueKind.Number)
            return [new RawPrompt.Tokens(fields.TokenIds(name, list.EnumerateArray(), vocabulary))];
        return [.. (fields.List(name, most) ?? []).Select(element => ReadElement(fields, name, element, vocabulary))];
    }

    static RawPrompt ReadElement(FieldReader fields, string name, JsonElement element, int vocabulary)
    {
        if (element.ValueKind == JsonValueKind.Array) return new RawPrompt.Tokens(fields.TokenIds(name, element.EnumerateArray(), vocabulary));
        if (JsonText.Of(element) is { } text) return new RawPrompt.Text(text);
        fields.Refuse(name, $"'{name}' must be a text, token ids, or a list of either; {JsonText.Excerpt(element)} is none.");
        return new RawPrompt.Tokens([]);
    }
}
