namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>Whether the workers of a view took up their streams of steps.</summary>
public abstract record PipelineOpening
{
    PipelineOpening() { }

    /// <param name="Pipeline">To be disposed of by whoever opened it.</param>
    public sealed record Opened(GrpcPipeline Pipeline) : PipelineOpening;

    public sealed record Failed(PipelineFailure Failure) : PipelineOpening;
}
