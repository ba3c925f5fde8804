using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links;

sealed partial class ActivationsService
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused activations of step {StepId} of view {ViewVersion} from {Peer}: {Reason}")]
    partial void LogRefused(ulong stepId, ulong viewVersion, string peer, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion} is over, its activation stream is closed")]
    partial void LogViewOver(ulong viewVersion);
}
