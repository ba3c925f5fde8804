using System.Net;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Ranks;

sealed partial class ReduceService
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion}: linked with {Peer} by {Kind}")]
    partial void LogLinked(ulong viewVersion, string peer, string kind);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No lane can be offered at {Address}: {Problem}")]
    partial void LogNoDoor(IPAddress address, string problem);
}
