using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>Keeps what a worker logs.</summary>
sealed class LogLines : ILoggerProvider, ILogger
{
    readonly ConcurrentQueue<string> _lines = [];

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue($"{formatter(state, exception)} {exception?.GetType().Name}".TrimEnd());

    public override string ToString() => string.Join('\n', _lines);

    public void Dispose() { }
}
