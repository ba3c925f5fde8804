using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>A whole response of one JSON value.</summary>
static class JsonResponse
{
    public static async Task WriteAsync(HttpResponse response, int status, Action<Utf8JsonWriter> write)
    {
        response.StatusCode = status;
        response.ContentType = "application/json";
        await using (var json = new Utf8JsonWriter(response.BodyWriter, JsonStyle.Writer)) write(json);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted);
    }

    public static Task WriteAsync(HttpResponse response, ApiError error)
    {
        if (error.RetryAfter is { } wait) response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString();
        return WriteAsync(response, error.Status, json => error.WriteTo(json));
    }
}

static class JsonStyle
{
    /// <summary>Text beyond ASCII as it is: no response is ever part of a web page.</summary>
    public static readonly JsonWriterOptions Writer = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
}

/// <summary>Server-sent events whose data is one JSON object each, flushed one by one.</summary>
sealed class SseStream(HttpResponse response) : IDisposable
{
    const string MediaType = "text/event-stream";

    readonly Utf8JsonWriter _json = new(response.BodyWriter, JsonStyle.Writer);

    public static SseStream Open(HttpResponse response)
    {
        response.ContentType = $"{MediaType}; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no"; // nginx would collect events
        return new(response);
    }

    public static bool IsOpen(HttpResponse response) => response.HasStarted && response.ContentType?.StartsWith(MediaType, StringComparison.Ordinal) == true;

    /// <summary>Sends the headers, although there is no event yet.</summary>
    public async ValueTask SendHeadersAsync(CancellationToken cancellation) => await response.BodyWriter.FlushAsync(cancellation);

    /// <summary>Sends a comment, which readers of events skip: it shows clients and proxies that the connection lives.</summary>
    public async ValueTask CommentAsync(CancellationToken cancellation)
    {
        Write(": waiting\n\n"u8);
        await response.BodyWriter.FlushAsync(cancellation);
    }

    /// <summary>Begins an event, whose JSON goes to the writer that is returned.</summary>
    public Utf8JsonWriter Begin()
    {
        Write("data: "u8);
        _json.Reset();
        return _json;
    }

    public async ValueTask EndAsync(CancellationToken cancellation)
    {
        _json.Flush();
        Write("\n\n"u8);
        await response.BodyWriter.FlushAsync(cancellation);
    }

    /// <summary>Says that the stream is complete; one that ends without it was cut short.</summary>
    public async ValueTask DoneAsync(CancellationToken cancellation)
    {
        Write("data: [DONE]\n\n"u8);
        await response.BodyWriter.FlushAsync(cancellation);
    }

    /// <summary>Ends the stream with an error. When to try again stands in it, as there can be no header any more.</summary>
    public async ValueTask FailAsync(ApiError error, CancellationToken cancellation)
    {
        error.WriteTo(Begin(), withRetryAfter: true);
        await EndAsync(cancellation);
    }

    public void Dispose() => _json.Dispose();

    void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(response.BodyWriter.GetSpan(bytes.Length));
        response.BodyWriter.Advance(bytes.Length);
    }
}
