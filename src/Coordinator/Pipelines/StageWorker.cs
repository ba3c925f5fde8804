using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>A worker with the part it has in a view.</summary>
/// <param name="Name">For people.</param>
public sealed record StageWorker(ShardAssignment Assignment, string Name)
{
    public WorkerId Id => Assignment.Worker;

    public int Stage => Assignment.Stage;

    public int Rank => Assignment.Shard.Slice.Rank;

    public PipelineFailure Lost(string how) => new(Id, WorkerLost: true, $"{this} was lost: {how}");

    public PipelineFailure Failed(string how) => new(Id, WorkerLost: false, $"{this} failed: {how}");

    /// <summary>"worker NAME (ADDRESS)"</summary>
    public override string ToString() => $"worker {Name} ({PeerAddress.Format(Assignment.Address)})";
}
