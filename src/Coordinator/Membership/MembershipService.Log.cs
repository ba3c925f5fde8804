using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Membership;

public sealed partial class MembershipService
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused to register the worker that called from {Peer}: {Reason}")]
    partial void LogRefused(string peer, string reason);
}
