using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// One JSON object a line, flat, for programs that collect logs: time, level, process, category, message, and where they are known request_ids,
/// trace_id, span_id and exception. Events of one kind that come in floods are thinned out (see <see cref="LogThrottle"/>).
/// </summary>
/// <param name="process">Which process of the cluster this is, such as "worker machine-3".</param>
sealed class JsonLineFormatter(string process, TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "json-line";

    /// <summary>Only what JSON itself needs escaped: nobody puts a log line into a web page as it is.</summary>
    static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    readonly LogThrottle _throttle = new(time);

    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopes, TextWriter text)
    {
        if (!_throttle.TryTake(entry.Category, entry.EventId.Id, out var note)) return;
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Options))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow());
            json.WriteString("level", entry.LogLevel.ToString().ToLowerInvariant());
            json.WriteString("process", process);
            json.WriteString("category", entry.Category);
            json.WriteString("message", entry.Formatter(entry.State, entry.Exception) + note);
            if (RequestIds(scopes) is { } ids) json.WriteString("request_ids", ids);
            if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } span)
            {
                json.WriteString("trace_id", span.TraceId.ToHexString());
                json.WriteString("span_id", span.SpanId.ToHexString());
            }
            if (entry.Exception is { } exception) json.WriteString("exception", exception.ToString());
            json.WriteEndObject();
        }
        text.WriteLine(Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
    }

    /// <summary>Of the innermost scope that names requests.</summary>
    static string? RequestIds(IExternalScopeProvider? scopes)
    {
        var ids = new StrongBox<string?>();
        scopes?.ForEachScope(static (scope, ids) => ids.Value = (scope as RequestScope)?.Ids ?? ids.Value, ids);
        return ids.Value;
    }
}
