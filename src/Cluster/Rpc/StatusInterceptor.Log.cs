using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

public sealed partial class StatusInterceptor
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a message to {Method} from {Peer}: {Problem}")]
    partial void LogInvalidMessage(string method, string peer, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed for {Peer}")]
    partial void LogFailed(Exception exception, string method, string peer);
}
