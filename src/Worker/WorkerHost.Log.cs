using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker;

public sealed partial class WorkerHost
{
    [LoggerMessage(Level = LogLevel.Error, Message = "The worker cannot go on: {Problem}")]
    partial void LogFailed(string problem);
}
