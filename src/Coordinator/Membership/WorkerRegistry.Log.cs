using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Membership;

public sealed partial class WorkerRegistry
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} at {Address} registered as {Worker}")]
    partial void LogRegistered(WorkerId worker, string name, Uri address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) wants to leave")]
    partial void LogDraining(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) has left")]
    partial void LogLeft(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Name} ({Worker}) is lost: {Reason}")]
    partial void LogLost(WorkerId worker, string name, string reason);
}
