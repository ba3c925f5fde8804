using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Ranks;

sealed partial class ReduceService
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion}: linked with {Peer} by {Kind}")]
    partial void LogLinked(ulong viewVersion, string peer, string kind);
}
