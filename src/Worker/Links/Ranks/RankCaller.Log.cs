using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Ranks;

sealed partial class RankCaller
{
    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion}: partial sums to {Peer} go by {Chosen}{Encrypted}; 32 KiB take one way {Times}")]
    partial void LogLinked(ulong viewVersion, string peer, PeerLinkType chosen, string times, string encrypted);
}
