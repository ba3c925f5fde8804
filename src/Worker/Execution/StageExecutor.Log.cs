using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Execution;

sealed partial class StageExecutor
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Step {StepId} of view {ViewVersion} failed: {Reason}, {Problem}")]
    partial void LogStepFailed(ulong stepId, ulong viewVersion, StepFailed.Types.Reason reason, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "Step {StepId} of view {ViewVersion} broke")]
    partial void LogStepBroke(Exception exception, ulong stepId, ulong viewVersion);
}
