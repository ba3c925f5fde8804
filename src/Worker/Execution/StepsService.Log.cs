using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Execution;

sealed partial class StepsService
{
    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} runs: stage {Stage} takes steps")]
    partial void LogOpened(ulong viewVersion, int stage);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is over: its stream of steps ended")]
    partial void LogClosed(ulong viewVersion);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} was replaced by a newer one")]
    partial void LogReplaced(ulong viewVersion);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Ignored the end of sequences of view {Ended}: this worker's view is {ViewVersion}")]
    partial void LogStaleEnd(ulong ended, ulong viewVersion);
}
