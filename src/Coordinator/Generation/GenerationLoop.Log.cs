using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Generation;

public sealed partial class GenerationLoop
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Generation stops with {Open} sequences open")]
    partial void LogStopped(int open);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The generation loop failed; its sequences fail, and the view is over")]
    partial void LogBroke(Exception exception);
}
