using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>A request's body: one JSON object of bounded size and depth.</summary>
static class JsonBody
{
    static readonly JsonDocumentOptions Strict = new() { MaxDepth = ApiLimits.JsonDepth, AllowDuplicateProperties = false };

    /// <summary>Reads a body and what <paramref name="rules"/> make of it. Nothing of the JSON is kept: an answer may take long.</summary>
    public static async Task<ApiOutcome<T>> ReadAsync<T>(HttpContext http, Func<JsonElement, ApiOutcome<T>> rules) where T : class
    {
        if ((await ReadAsync(http.Request, http.RequestAborted)).Failed(out var error, out var body)) return error;
        using (body) return rules(body.RootElement);
    }

    static async Task<ApiOutcome<JsonDocument>> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (MediaTypeError(request) is { } wrongType) return wrongType;
        if (request.ContentLength > ApiLimits.BodyBytes) return ApiError.TooLarge(ApiLimits.BodyBytes);
        var body = request.BodyReader;
        while (true)
        {
            var read = await body.ReadAsync(cancellation);
            if (read.Buffer.Length > ApiLimits.BodyBytes)
            {
                body.AdvanceTo(read.Buffer.End);
                return ApiError.TooLarge(ApiLimits.BodyBytes);
            }
            if (read.IsCompleted)
            {
                var parsed = Parse(read.Buffer);
                body.AdvanceTo(read.Buffer.End);
                return parsed;
            }
            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    static ApiError? MediaTypeError(HttpRequest request)
    {
        if (!request.HasJsonContentType())
            return ApiError.WrongMediaType("The request's Content-Type must be application/json.");
        return request.Headers.ContentEncoding.Count == 0 || request.Headers.ContentEncoding == "identity"
            ? null
            : ApiError.WrongMediaType("A Content-Encoding of the request is not supported; send plain JSON.");
    }

    static ApiOutcome<JsonDocument> Parse(ReadOnlySequence<byte> body)
    {
        try
        {
            // The copy lets the document outlive the connection's buffers.
            var document = JsonDocument.Parse(body.ToArray(), Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
            return ApiError.Invalid(null, "The request body must be a JSON object.", "invalid_json");
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            return ApiError.Invalid(null, $"The request body is not valid JSON: {OneLine(wrong)}", "invalid_json");
        }
    }

    static string OneLine(Exception wrong) => wrong is JsonException { LineNumber: { } line, BytePositionInLine: { } column }
        ? $"line {line + 1}, byte {column + 1}: {wrong.Message.Split('.')[0]}."
        : "it holds a name that is no Unicode text.";
}
