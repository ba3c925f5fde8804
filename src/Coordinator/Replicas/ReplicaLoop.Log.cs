using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

sealed partial class ReplicaLoop
{
    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica} stops with {Open} sequences open")]
    partial void LogStopped(string replica, int open);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Replica}: {Open} sequences wait up to {Seconds} s for another view: {Reason}")]
    partial void LogWait(string replica, int open, double seconds, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica}: {Open} sequences go on in view {ViewVersion}")]
    partial void LogGoOn(string replica, int open, ulong viewVersion);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica}: the next token came {Seconds:0.00} s after the view before had ended")]
    partial void LogServed(string replica, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Replica}: sequence {Sequence} of request '{RequestId}' failed: {Reason}")]
    partial void LogSequenceFailed(string replica, ulong sequence, string requestId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "{Replica}: sequence {Sequence} of request '{RequestId}' is ended, because workers failed {Times} times in a row with it: {Reason}")]
    partial void LogPoisonous(string replica, ulong sequence, string requestId, int times, string reason);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The loop of {Replica} failed; its sequences fail, and the view is over")]
    partial void LogBroke(string replica, Exception exception);
}
