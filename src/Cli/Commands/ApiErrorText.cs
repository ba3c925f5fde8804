using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlamaCluster.Cli.Commands;

/// <summary>What the API says in an answer that is an error.</summary>
static class ApiErrorText
{
    /// <returns>Null if the text is no error of the API: an answer, or a page of some other server.</returns>
    public static string? Of(string json)
    {
        try
        {
            return JsonNode.Parse(json) is JsonObject answer && answer["error"] is JsonObject error ? (string?)error["message"] : null;
        }
        catch (Exception other) when (other is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
