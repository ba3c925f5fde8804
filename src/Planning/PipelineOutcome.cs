namespace LlamaCluster.Planning;

public abstract record PipelineOutcome
{
    PipelineOutcome() { }

    public sealed record Planned(PlannedPipeline Pipeline) : PipelineOutcome;

    /// <param name="Reason">One line for people.</param>
    public sealed record Refused(string Reason) : PipelineOutcome;
}
