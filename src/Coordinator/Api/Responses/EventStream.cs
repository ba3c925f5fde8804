using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>How the events of a stream are told apart.</summary>
enum EventFraming
{
    /// <summary>Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).</summary>
    ServerSent,

    /// <summary>One JSON object a line (NDJSON).</summary>
    Lines,
}

/// <summary>A stream of events that are one JSON object each.</summary>
sealed class EventStream(HttpResponse response, EventFraming framing) : IDisposable
{
    const string ServerSentEvents = "text/event-stream";
    const string JsonLines = "application/x-ndjson";

    readonly Utf8JsonWriter _json = new(response.BodyWriter, JsonStyle.Writer);

    public static EventStream Open(HttpResponse response, EventFraming framing)
    {
        response.ContentType = framing is EventFraming.ServerSent ? $"{ServerSentEvents}; charset=utf-8" : JsonLines;
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no"; // nginx would collect events
        return new(response, framing);
    }

    /// <summary>An answer has begun to be a stream.</summary>
    public static bool IsIn(HttpResponse response)
        => response.HasStarted && (response.ContentType == JsonLines || response.ContentType?.StartsWith(ServerSentEvents, StringComparison.Ordinal) == true);

    /// <summary>Begins an event, whose JSON goes to the writer that is returned.</summary>
    /// <param name="name">The event's type; null: it has none.</param>
    public Utf8JsonWriter Begin(string? name = null)
    {
        if (framing is EventFraming.ServerSent)
        {
            if (name is not null)
            {
                Write("event: "u8);
                Write(System.Text.Encoding.ASCII.GetBytes(name));
                Write("\n"u8);
            }
            Write("data: "u8);
        }
        _json.Reset();
        return _json;
    }

    public void End()
    {
        _json.Flush();
        Write(framing is EventFraming.ServerSent ? "\n\n"u8 : "\n"u8);
    }

    /// <summary>A comment, which readers of events skip: it shows clients and proxies that the connection lives. Lines have none.</summary>
    public void Comment()
    {
        if (framing is EventFraming.ServerSent) Write(": waiting\n\n"u8);
    }

    /// <summary>Says in OpenAI's way that the stream is complete.</summary>
    public void Done() => Write("data: [DONE]\n\n"u8);

    /// <summary>Sends what was written; the headers too, if they have not gone out.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellation) => await response.BodyWriter.FlushAsync(cancellation);

    public void Dispose() => _json.Dispose();

    void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(response.BodyWriter.GetSpan(bytes.Length));
        response.BodyWriter.Advance(bytes.Length);
    }
}
