using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>A request's body: one JSON object of bounded size and depth.</summary>
static class JsonBody
{
    static readonly MinDataRate SlowestBody = new(ApiLimits.BodyBytesPerSecond, ApiLimits.BodyGrace);
    static readonly JsonDocumentOptions Strict = new() { MaxDepth = ApiLimits.JsonDepth, AllowDuplicateProperties = false };
    static readonly JsonDocumentOptions WithDuplicates = Strict with { AllowDuplicateProperties = true };

    public static async Task<ApiOutcome<JsonDocument>> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (MediaTypeError(request) is { } wrongType) return wrongType;
        if (request.ContentLength > ApiLimits.BodyBytes) return ApiError.TooLarge(ApiLimits.BodyBytes);
        // A rate per request is a matter of HTTP/1.1; the feature refuses it elsewhere.
        if (HttpProtocol.IsHttp11(request.Protocol) && request.HttpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } reading)
            reading.MinDataRate = SlowestBody;
        try
        {
            return await ReadAsync(request.BodyReader, cancellation);
        }
        catch (IOException wrong) when (wrong is not Microsoft.AspNetCore.Http.BadHttpRequestException)
        {
            // The server says so of lengths of chunks that no integer holds. If the connection broke, nobody reads this.
            return ApiError.Invalid(null, $"The request body cannot be read: {wrong.Message}");
        }
    }

    static async Task<ApiOutcome<JsonDocument>> ReadAsync(PipeReader body, CancellationToken cancellation)
    {
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
        // The copy lets the document outlive the connection's buffers.
        var bytes = WithoutMark(body.ToArray());
        if (!Utf8.IsValid(bytes.Span)) return ApiError.Invalid(null, "The request body is not UTF-8.", "invalid_json");
        try
        {
            var document = JsonDocument.Parse(bytes, Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
            return ApiError.Invalid(null, "The request body must be a JSON object.", "invalid_json");
        }
        catch (JsonException wrong) when (wrong is { LineNumber: { } line, BytePositionInLine: { } column })
        {
            var what = wrong.Message.Split('.')[0];
            return ApiError.Invalid(null, $"The request body is not valid JSON: line {line + 1}, byte {column + 1}: {what}.", "invalid_json");
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            return NameProblem(bytes);
        }
    }

    /// <summary>Some clients put a byte order mark in front.</summary>
    static ReadOnlyMemory<byte> WithoutMark(byte[] body) => body.AsMemory(body.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0);

    /// <summary>The JSON is right but for the names in it: one is there twice, or is half a character.</summary>
    static ApiError NameProblem(ReadOnlyMemory<byte> bytes)
    {
        using var document = JsonDocument.Parse(bytes, WithDuplicates);
        return JsonNames.FindTwice(document.RootElement) is { } path
            ? ApiError.Invalid(path, $"'{path}' is there more than once; give each field once.", "duplicate_parameter")
            : ApiError.Invalid(null, "The request body is not valid JSON: it holds a name that is no Unicode text.", "invalid_json");
    }
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

/// <summary>The names of a JSON value's fields.</summary>
static class JsonNames
{
    /// <summary>Path of the first field whose object has another one of that name; null if there is none.</summary>
    public static string? FindTwice(JsonElement element) => FindTwice(element, "");

    static string? FindTwice(JsonElement element, string path)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var (index, item) in element.EnumerateArray().Index())
                if (item.ValueKind is JsonValueKind.Array or JsonValueKind.Object && FindTwice(item, $"{path}[{index}]") is { } inItem) return inItem;
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            HashSet<string> names = [];
            foreach (var property in element.EnumerateObject())
            {
                if (JsonText.NameOf(property) is not { } name) continue;
                var here = path.Length == 0 ? JsonText.Shorten(name) : $"{path}.{JsonText.Shorten(name)}";
                if (!names.Add(name)) return here;
                if (FindTwice(property.Value, here) is { } inside) return inside;
            }
        }
        return null;
    }
}
