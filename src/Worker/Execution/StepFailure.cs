using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>Why a step did not run, or its output did not arrive.</summary>
/// <param name="Message">One line for people.</param>
sealed record StepFailure(StepFailed.Types.Reason Reason, string Message);
