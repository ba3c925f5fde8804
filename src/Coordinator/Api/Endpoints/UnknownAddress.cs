using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// Answers requests for addresses that are not there: says where the right one is, or that the feature is missing, in the shape that the
/// asking client reads.
/// </summary>
static class UnknownAddress
{
    /// <summary>Ends of addresses that are there, the longer before the shorter.</summary>
    static readonly (string End, string Address)[] Known =
    [
        ("chat/completions", "/v1/chat/completions"),
        ("completions", "/v1/completions"),
        ("models", "/v1/models"),
        ("detokenize", "/detokenize"),
        ("tokenize", "/tokenize"),
        ("health", "/health"),
        ("ready", "/ready"),
        ("props", "/props"),
        ("metrics", "/metrics"),
    ];

    /// <summary>First words of addresses of other servers, and what is missing here.</summary>
    static readonly Dictionary<string, string> Missing = new(StringComparer.OrdinalIgnoreCase)
    {
        ["embeddings"] = "Embeddings are",
        ["responses"] = "The Responses API is",
        ["messages"] = "Anthropic's Messages API is",
        ["audio"] = "Audio is",
        ["images"] = "Images are",
        ["moderations"] = "Moderation is",
        ["files"] = "Files are",
        ["batches"] = "Batches are",
        ["assistants"] = "Assistants are",
        ["threads"] = "Assistants are",
        ["fine_tuning"] = "Fine-tuning is",
        ["rerank"] = "Ranking is",
        ["score"] = "Scoring is",
        ["completion"] = "llama.cpp's own completion API is",
        ["infill"] = "Infilling is",
        ["generate"] = "Text Generation Inference's API is",
    };

    public static Task AnswerAsync(HttpContext http)
    {
        var parts = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var error = ApiError.UnknownPath($"{JsonText.Shorten(http.Request.Method)} {JsonText.Shorten(http.Request.Path)}", Hint(parts, http.Request));
        return JsonResponse.WriteAsync(http.Response, error.Status, ShapeFor(parts, error));
    }

    static string Hint(string[] parts, HttpRequest request)
    {
        var use = $"use an OpenAI client with the base URL {request.Scheme}://{JsonText.Shorten(request.Host.Value ?? "")}/v1";
        if (IsOllama(parts)) return $"Ollama's API is not supported; {use}.";
        var path = string.Join('/', parts);
        foreach (var (end, address) in Known)
            if (path.Equals(end, StringComparison.OrdinalIgnoreCase) || path.EndsWith($"/{end}", StringComparison.OrdinalIgnoreCase))
                return $"The right address is {address}; {use}.";
        return Feature(parts) is { } feature && Missing.TryGetValue(feature, out var what)
            ? $"{what} not supported; there are /v1/chat/completions and /v1/completions."
            : "The API is under /v1: /v1/chat/completions, /v1/completions, /v1/models.";
    }

    /// <summary>Clients of Ollama and of Anthropic read errors of another shape.</summary>
    static Action<Utf8JsonWriter> ShapeFor(string[] parts, ApiError error) => json =>
    {
        if (IsOllama(parts))
        {
            json.WriteStartObject();
            json.WriteString("error", error.Message);
            json.WriteEndObject();
        }
        else if (Feature(parts) is "messages")
        {
            json.WriteStartObject();
            json.WriteString("type", "error");
            json.WriteStartObject("error");
            json.WriteString("type", "not_found_error");
            json.WriteString("message", error.Message);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        else
        {
            error.WriteTo(json);
        }
    };

    /// <summary>Not /api/v1, where some services have OpenAI's API.</summary>
    static bool IsOllama(string[] parts) => parts is ["api", ..] and not ["api", "v1", ..];

    static string? Feature(string[] parts) => parts.SkipWhile(part => part is "v1" or "api" or "openai").FirstOrDefault();
}
