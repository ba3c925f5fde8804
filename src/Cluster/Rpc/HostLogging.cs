using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>How both hosts log: one line an event, to stderr, since stdout is for results.</summary>
public static class HostLogging
{
    public static ILoggingBuilder UseOneLineConsole(this ILoggingBuilder logging)
    {
        logging.ClearProviders();
        logging.Services.TryAddSingleton(TimeProvider.System);
        logging.AddConsole(options => (options.FormatterName, options.LogToStandardErrorThreshold) = (OneLineFormatter.FormatterName, LogLevel.Trace));
        logging.AddConsoleFormatter<OneLineFormatter, ConsoleFormatterOptions>();
        logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
        return logging;
    }
}
