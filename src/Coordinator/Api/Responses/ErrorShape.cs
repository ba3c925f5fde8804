using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>The shape of an error that clients of an API read. It follows from the address that was asked, also where that is unknown.</summary>
enum ErrorShape
{
    OpenAi,
    Anthropic,
    Ollama,
    TextGenerationInference,
}

static class ErrorShapes
{
    public static ErrorShape Of(HttpRequest request)
    {
        var parts = request.Path.Value!.Split('/', 4, StringSplitOptions.RemoveEmptyEntries);
        return parts switch
        {
            ["v1", "messages", ..] or ["messages", ..] => ErrorShape.Anthropic,
            ["api", "v1" or "openai", ..] => ErrorShape.OpenAi,
            ["api", ..] => ErrorShape.Ollama,
            [] when HttpMethods.IsPost(request.Method) => ErrorShape.TextGenerationInference,
            ["generate" or "generate_stream" or "info"] => ErrorShape.TextGenerationInference,
            _ => ErrorShape.OpenAi,
        };
    }

    public static void Write(this ErrorShape shape, Utf8JsonWriter json, ApiError error, string requestId)
    {
        switch (shape)
        {
            case ErrorShape.Anthropic:
                json.WriteStartObject();
                json.WriteString("type", "error");
                json.WriteStartObject("error");
                json.WriteString("type", AnthropicTypeOf(error.Status));
                json.WriteString("message", error.Message);
                json.WriteEndObject();
                json.WriteString("request_id", requestId);
                json.WriteEndObject();
                break;
            case ErrorShape.Ollama:
                json.WriteStartObject();
                json.WriteString("error", error.Message);
                json.WriteEndObject();
                break;
            case ErrorShape.TextGenerationInference:
                json.WriteStartObject();
                json.WriteString("error", error.Message);
                json.WriteString("error_type", error.Status switch { < 429 => "validation", 429 => "overloaded", _ => "generation" });
                json.WriteEndObject();
                break;
            default:
                error.WriteTo(json);
                break;
        }
    }

    /// <summary>See https://docs.anthropic.com/en/api/errors.</summary>
    static string AnthropicTypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        >= 500 => "api_error",
        _ => "invalid_request_error",
    };
}
