using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// <c>12:34:56.789 warn Worker.Registration.MembershipLoop: what happened</c>. An exception that is logged is a bug or a dead peer: it
/// follows on lines of its own.
/// </summary>
sealed class OneLineFormatter(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "one-line";

    const string Ours = "LlamaCluster.";

    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopes, TextWriter text)
    {
        text.Write(time.GetLocalNow().ToString("HH:mm:ss.fff ", CultureInfo.InvariantCulture));
        text.Write(Level(entry.LogLevel));
        text.Write(' ');
        text.Write(entry.Category.StartsWith(Ours, StringComparison.Ordinal) ? entry.Category[Ours.Length..] : entry.Category);
        text.Write(": ");
        text.WriteLine(entry.Formatter(entry.State, entry.Exception).ReplaceLineEndings(" "));
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
