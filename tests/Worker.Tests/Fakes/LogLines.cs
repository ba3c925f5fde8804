using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>Keeps what a worker logs.</summary>
sealed class LogLines : ILoggerProvider, ILogger
{
    readonly ConcurrentQueue<string> _lines = [];
    readonly LoggerExternalScopeProvider _scopes = new();

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => _scopes.Push(state);

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue($"{formatter(state, exception)} {exception?.GetType().Name}".TrimEnd() + Requests());

    public override string ToString() => string.Join('\n', _lines);

    public void Dispose() { }

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
