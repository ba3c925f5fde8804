using LlamaCluster.Primitives;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>
/// What the silo logs, in the coordinator's log: warnings and errors of Orleans as warnings, each in one line without a stack. It says much of what
/// comes and goes, and every failed call is told to its caller anyway. Our own categories pass as they are.
/// </summary>
sealed class SiloLogging(ILoggerFactory coordinators) : ILoggerFactory
{
    /// <summary>
    /// Who says which silos are alive. All others warn of every attempt to reach one that is not, and of settings that are as they should be.
    /// </summary>
    const string Membership = "Orleans.Runtime.MembershipService.MembershipTableManager";

    public ILogger CreateLogger(string categoryName)
    {
        var logger = coordinators.CreateLogger(categoryName);
        return categoryName.StartsWith("LlamaCluster.", StringComparison.Ordinal)
            ? logger
            : new WarningsOnly(logger, categoryName == Membership ? LogLevel.Warning : LogLevel.Error);
    }

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("the coordinator decides who logs");

    public void Dispose() { }   // the coordinator's own

    sealed class WarningsOnly(ILogger logger, LogLevel least) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => level >= least && level < LogLevel.None && logger.IsEnabled(LogLevel.Warning);

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(level)) return;
            var why = exception is null ? "" : $": {exception.GetType().Name}: {exception.Message}";
            logger.Log(LogLevel.Warning, id, ErrorText.Sentence(formatter(state, null) + why), null, static (line, _) => line);
        }
    }
}
