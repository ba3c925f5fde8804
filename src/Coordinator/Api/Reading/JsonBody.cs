using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>A request's body: one JSON object of bounded size and depth.</summary>
static class JsonBody
{
    static readonly MinDataRate SlowestBody = new(ApiLimits.BodyBytesPerSecond, ApiLimits.BodyGrace);
    static readonly JsonDocumentOptions Strict = new() { MaxDepth = ApiLimits.JsonDepth, AllowDuplicateProperties = false };

    /// <summary>Reads a body and applies <paramref name="rules"/> to it. Nothing of the JSON is kept, because an answer may take long.</summary>
    public static async Task<ApiOutcome<T>> ReadAsync<T>(HttpContext http, Func<JsonElement, ApiOutcome<T>> rules) where T : class
    {
        if ((await ReadAsync(http.Request, http.RequestAborted)).Failed(out var error, out var body)) return error;
        using (body) return rules(body.RootElement);
    }

    static async Task<ApiOutcome<JsonDocument>> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (MediaTypeError(request) is { } wrongType) return wrongType;
        if (request.ContentLength > ApiLimits.BodyBytes) return ApiError.TooLarge(ApiLimits.BodyBytes);
        // A rate per request is a matter of HTTP/1.1; the feature refuses it elsewhere.
        if (HttpProtocol.IsHttp11(request.Protocol) && request.HttpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } reading)
            reading.MinDataRate = SlowestBody;
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
