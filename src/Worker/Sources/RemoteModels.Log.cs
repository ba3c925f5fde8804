using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

sealed partial class RemoteModels
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Fetching weights broke off, attempt {Attempt} of {Attempts}: {Problem}")]
    partial void LogTryAgain(int attempt, int attempts, string problem);
}
