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
        ("messages/count_tokens", "/v1/messages/count_tokens"),
        ("messages", "/v1/messages"),
        ("responses", "/v1/responses"),
        ("embeddings", "/v1/embeddings"),
        ("models", "/v1/models"),
        ("cluster/events", "/v1/cluster/events"),
        ("cluster/plan", "/v1/cluster/plan"),
        ("cluster", "/v1/cluster"),
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
    };

    public static Task AnswerAsync(HttpContext http)
    {
        var parts = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var error = ApiError.UnknownPath($"{JsonText.Shorten(http.Request.Method)} {JsonText.Shorten(http.Request.Path)}", Hint(parts, http.Request));
        return JsonResponse.WriteAsync(http.Response, error);
    }

    static string Hint(string[] parts, HttpRequest request)
    {
        var use = $"use an OpenAI client with the base URL {request.Scheme}://{JsonText.Shorten(request.Host.Value ?? "")}/v1";
        if (IsOllama(parts))
            return $"Of Ollama's API there are /api/chat, /api/generate, /api/embed, /api/tags, /api/show, /api/ps and /api/version; or {use}.";
        if (Feature(parts) is { } feature && Missing.TryGetValue(feature, out var what))
            return $"{what} not supported; there are /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages and /v1/embeddings.";
        var path = string.Join('/', parts);
        foreach (var (end, address) in Known)
            if (path.Equals(end, StringComparison.OrdinalIgnoreCase) || path.EndsWith($"/{end}", StringComparison.OrdinalIgnoreCase))
                return $"The right address is {address}; {use}.";
        return "The API is under /v1: /v1/chat/completions, /v1/completions, /v1/models.";
    }

    /// <summary>Not /api/v1, where some services have OpenAI's API.</summary>
    static bool IsOllama(string[] parts) => parts is ["api", ..] and not ["api", "v1", ..];

    static string? Feature(string[] parts) => parts.SkipWhile(part => part is "v1" or "api" or "openai").FirstOrDefault();
}
