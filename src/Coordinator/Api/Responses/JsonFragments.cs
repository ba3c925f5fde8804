using System.Text;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>JSON that a model wrote, for answers that have it as a value and not as a text.</summary>
static class JsonFragments
{
    /// <summary>The text, if it is one JSON object; otherwise the other one. Answers that are cut, or that no grammar held, may be anything.</summary>
    public static string ObjectOr(string text, string otherwise)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), new JsonReaderOptions { MaxDepth = ApiLimits.JsonDepth });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return otherwise;
            reader.Skip();
            return reader.Read() ? otherwise : text;
        }
        catch (JsonException)
        {
            return otherwise;
        }
    }
}
