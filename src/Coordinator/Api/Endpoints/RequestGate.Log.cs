using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Endpoints;

sealed partial class RequestGate
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "Request {Id}: the client has gone ({Reason})")]
    partial void LogClientGone(string id, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Id} to {Path} failed")]
    partial void LogBug(string id, string path, Exception bug);
}
