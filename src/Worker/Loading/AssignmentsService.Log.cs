using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Loading;

sealed partial class AssignmentsService
{
    [LoggerMessage(Level = LogLevel.Error, Message = "Could not load the shard of view {ViewVersion}: {Problem}")]
    partial void LogLoadFailed(ulong viewVersion, string problem);
}
