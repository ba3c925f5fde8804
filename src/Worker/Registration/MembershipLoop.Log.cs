using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Registration;

sealed partial class MembershipLoop
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Registered as {Worker} with the coordinator at {Coordinator}; reachable at {Address}")]
    partial void LogRegistered(WorkerId worker, Uri coordinator, Uri address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The coordinator at {Coordinator} is away ({Problem}); trying again in {Seconds:0.0} s")]
    partial void LogAway(Uri coordinator, string problem, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gave up the model it held, and registers without: {Reason}")]
    partial void LogModelGivenUp(string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Heartbeats stopped")]
    partial void LogStopped();

    [LoggerMessage(Level = LogLevel.Information, Message = "The coordinator let this worker go")]
    partial void LogDrained();

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leaving although the coordinator did not let this worker go: {Problem}")]
    partial void LogNotDrained(string problem);
}
