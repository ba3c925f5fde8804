using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>How a step came back.</summary>
public abstract record StepReturn
{
    StepReturn() { }

    /// <param name="Results">One per chunk of the step, in order.</param>
    public sealed record Completed(IReadOnlyList<ChunkResult> Results) : StepReturn;

    /// <summary>It did not; the pipeline has failed.</summary>
    public sealed record Lost(PipelineFailure Failure) : StepReturn;
}
