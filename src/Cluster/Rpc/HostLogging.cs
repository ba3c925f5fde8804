using System.Globalization;
using LlamaCluster.Primitives;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>The form of log lines.</summary>
public enum LogFormat
{
    /// <summary>For people.</summary>
    Text,

    /// <summary>A JSON object a line, for programs that collect logs.</summary>
    Json,
}

/// <summary>How both hosts log: one line an event, to stderr, since stdout is for results.</summary>
public static class HostLogging
{
    /// <param name="process">Which process this is, such as "worker machine-3", for <see cref="LogFormat.Json"/>.</param>
    public static ILoggingBuilder UseOneLineConsole(this ILoggingBuilder logging, LogFormat format, string process)
    {
        logging.ClearProviders();
        logging.Services.TryAddSingleton(TimeProvider.System);
        var name = format == LogFormat.Json ? JsonLineFormatter.FormatterName : OneLineFormatter.FormatterName;
        logging.AddConsole(options => (options.FormatterName, options.LogToStandardErrorThreshold) = (name, LogLevel.Trace));
        logging.AddConsoleFormatter<OneLineFormatter, ConsoleFormatterOptions>();
        logging.Services.AddSingleton<ConsoleFormatter>(provider => new JsonLineFormatter(process, provider.GetRequiredService<TimeProvider>()));
        logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
        return logging;
    }

    /// <summary>What is logged until the scope is disposed of names these requests.</summary>
    /// <param name="requestIds">Ids of clients' requests, separated by commas. "": none is known, and there is no scope.</param>
    public static IDisposable? BeginRequestScope(this ILogger logger, string requestIds) =>
        requestIds.Length == 0 ? null : logger.BeginScope(new RequestScope(requestIds));
}

/// <summary>The requests that log lines are about. It reads as a list of properties too, for loggers that keep those.</summary>
sealed class RequestScope(string requestIds) : List<KeyValuePair<string, object?>>([new KeyValuePair<string, object?>("RequestIds", requestIds)])
{
    public string Ids => requestIds;

    public override string ToString() => $"request {requestIds}";
}

/// <summary>
/// <c>12:34:56.789 warn Worker.Registration.MembershipLoop: what happened [request 5f3a]</c>. An exception that is logged is a bug or a dead
/// peer. It follows on lines of its own. Events of one kind that come in floods are thinned out (see <see cref="LogThrottle"/>).
/// </summary>
sealed class OneLineFormatter(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "one-line";

    const string Ours = "LlamaCluster.";

    readonly LogThrottle _throttle = new(time);

    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopes, TextWriter text)
    {
        if (!_throttle.TryTake(entry.Category, entry.EventId.Id, out var note)) return;
        text.Write(time.GetLocalNow().ToString("HH:mm:ss.fff ", CultureInfo.InvariantCulture));
        text.Write(Level(entry.LogLevel));
        text.Write(' ');
        text.Write(entry.Category.StartsWith(Ours, StringComparison.Ordinal) ? entry.Category[Ours.Length..] : entry.Category);
        text.Write(": ");
        text.Write(ErrorText.OneLine(entry.Formatter(entry.State, entry.Exception)));   // paths of requests and the like are in it
        // Other scopes, like those of the web server, would only make the line long.
        scopes?.ForEachScope(static (scope, line) =>
        {
            if (scope is RequestScope requests) line.Write($" [{requests}]");
        }, text);
        text.WriteLine(note);
        if (entry.Exception is not null) text.WriteLine(entry.Exception);
    }

    static string Level(LogLevel level) => level switch
    {
        LogLevel.Trace => "trce",
        LogLevel.Debug => "dbug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "fail",
        _ => "crit",
    };
}
