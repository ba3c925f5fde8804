using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>Strings of JSON that may hold anything: unpaired surrogates, bytes that are not UTF-8, megabytes.</summary>
static class JsonText
{
    const int LongestExcerpt = 40;

    /// <summary>The string's text; null if the element is no string or its content is not Unicode.</summary>
    public static string? Of(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.String) return null;
        try
        {
            return element.GetString();
        }
        catch (InvalidOperationException)
        {
            return null; // how JsonElement says that the bytes are not UTF-8 or that an escaped surrogate has no partner
        }
    }

    public static string? NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return null; // as above
        }
    }

    /// <summary>The start of a value as it was written, to say in an error what was there.</summary>
    public static string Excerpt(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        _ => Shorten(element.GetRawText()),
    };

    public static string Shorten(string text) => text.Length <= LongestExcerpt ? text : $"{text.AsSpan(0, LongestExcerpt)}...";
}
