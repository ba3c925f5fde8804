using System.Diagnostics;
using System.Text.Json;
using LlamaCluster.Cluster.Rpc;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class JsonLineFormatterTests
{
    [Fact]
    public void Write_AnEvent_IsOneObjectOnOneLine()
    {
        using var activity = new Activity("request").SetIdFormat(ActivityIdFormat.W3C).Start();
        var scopes = new LoggerExternalScopeProvider();
        using var outer = scopes.Push(new RequestScope("a, b"));
        using var web = scopes.Push("connection 7");
        using var inner = scopes.Push(new RequestScope("b"));
        var line = Write(
            new LogEntry<string>(LogLevel.Error, "LlamaCluster.Worker", default, "two\nlines, \"é\"", new IOException("no\nmore"), (state, _) => state),
            scopes);
        var json = JsonDocument.Parse(line).RootElement;
        Assert.Equal(
            ["time", "level", "process", "category", "message", "request_ids", "trace_id", "span_id", "exception"],
            json.EnumerateObject().Select(field => field.Name));
        Assert.Equal(("error", "worker 3", "LlamaCluster.Worker"), (Text("level"), Text("process"), Text("category")));
        Assert.Equal(("two\nlines, \"é\"", "b", activity.TraceId.ToHexString()), (Text("message"), Text("request_ids"), Text("trace_id")));
        Assert.Contains("no\nmore", Text("exception"));

        string? Text(string field) => json.GetProperty(field).GetString();
    }

    [Fact]
    public void Write_WithNothingElseKnown_HasNothingElse()
    {
        Activity.Current = null;
        var json = JsonDocument.Parse(Write(new LogEntry<string>(LogLevel.Information, "Here", default, "done", null, (state, _) => state), null)).RootElement;
        Assert.Equal(["time", "level", "process", "category", "message"], json.EnumerateObject().Select(field => field.Name));
    }

    static string Write(LogEntry<string> entry, IExternalScopeProvider? scopes)
    {
        using var text = new StringWriter { NewLine = "\n" };
        new JsonLineFormatter("worker 3", TimeProvider.System).Write(entry, scopes, text);
        return Assert.Single(text.ToString().TrimEnd('\n').Split('\n'));
    }
}
