using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

public sealed partial class ClusterSupervisor
{
    [LoggerMessage(Level = LogLevel.Information, Message = "{Phase}: {Reason}")]
    partial void LogStatus(ClusterPhase phase, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is planned, {KvBlocks} KV blocks: {Stages}")]
    partial void LogPlanned(ulong viewVersion, int kvBlocks, string stages);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Choice}; predicted {Milliseconds:0.00} ms for a token of one stream, limited by {Limit}")]
    partial void LogPrediction(string choice, double milliseconds, string limit);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is ready: {Stages} stages, {KvBlocks} KV blocks")]
    partial void LogReady(ulong viewVersion, int stages, int kvBlocks);
}
