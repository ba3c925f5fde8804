using LlamaCluster.Coordinator.Pipelines;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.LoadProgress.Types;

namespace LlamaCluster.Coordinator.Supervision;

public sealed partial class ShardLoader
{
    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker}: {Phase}, weights from {Source}, {Bytes} bytes")]
    partial void LogPhase(StageWorker worker, Phase phase, string source, ulong bytes);
}
