using LlamaCluster.Coordinator.Pipelines;

namespace LlamaCluster.Coordinator.Supervision;

public abstract record LoadOutcome
{
    LoadOutcome() { }

    /// <param name="KvBlocks">KV blocks that every worker has room for.</param>
    public sealed record Loaded(int KvBlocks) : LoadOutcome;

    public sealed record Failed(PipelineFailure Failure) : LoadOutcome;
}
