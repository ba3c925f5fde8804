using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>Why a view is over.</summary>
/// <param name="Worker">Whose fault it is, as far as that is known.</param>
/// <param name="WorkerLost">That worker does not answer any more, as opposed to having answered that something failed.</param>
/// <param name="Message">One line for people: which worker (name and address) and what happened to it.</param>
public sealed record PipelineFailure(WorkerId? Worker, bool WorkerLost, string Message);
