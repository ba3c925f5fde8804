using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Testing;

/// <summary>Keeps what is logged.</summary>
/// <param name="least">Lines of lower levels are not kept.</param>
public sealed class LogLines(LogLevel least = LogLevel.Trace) : ILoggerProvider, ILogger
{
    readonly ConcurrentQueue<string> _lines = [];
    readonly LoggerExternalScopeProvider _scopes = new();

    volatile TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => _scopes.Push(state);

    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) Add($"{formatter(state, exception)} {exception?.GetType().Name}".TrimEnd() + Requests());
    }

    /// <summary>Completes when a line with this text has been logged.</summary>
    public async Task LineAsync(string part)
    {
        while (_more is var more && !_lines.Any(line => line.Contains(part))) await more.Task;
    }

    public override string ToString() => string.Join('\n', _lines);

    public void Dispose() { }

    void Add(string line)
    {
        _lines.Enqueue(line);
        Interlocked.Exchange(ref _more, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    /// <summary>The requests of the scopes around a line; the web server's own scopes are left out.</summary>
    string Requests()
    {
        var text = new StringBuilder();
        _scopes.ForEachScope((scope, to) =>
        {
            if (scope?.ToString() is { } words && words.StartsWith("request ", StringComparison.Ordinal)) to.Append($" [{words}]");
        }, text);
        return text.ToString();
    }
}
