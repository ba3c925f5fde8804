using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Tests.Api.Sessions;

/// <summary>Keeps the lines of a log.</summary>
sealed class LineLog : ILoggerProvider, ILogger
{
    readonly ConcurrentQueue<string> _lines = [];

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel level) => level >= LogLevel.Warning;

    public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(level)) _lines.Enqueue(formatter(state, exception));
    }

    public void Dispose() { }
}
