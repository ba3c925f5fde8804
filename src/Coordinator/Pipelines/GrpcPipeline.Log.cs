using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Pipelines;

public sealed partial class GrpcPipeline
{
    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is over: {Reason}")]
    partial void LogFailed(ulong viewVersion, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Dropped a {Kind} of {Worker} that nothing waits for")]
    partial void LogDropped(StageWorker worker, StepReply.KindOneofCase kind);
}
