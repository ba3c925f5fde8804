using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>What all workers of a plan are asked to load.</summary>
/// <param name="ModelPath">Where the coordinator has the model; workers on this machine, or with the same mounts, find it there.</param>
/// <param name="KvBlocks">KV blocks that each worker is to make room for.</param>
/// <param name="StepTimeout">What every worker is to grant the steps of the others.</param>
public sealed record LoadRequest(ClusterPlan Plan, string ModelPath, int KvBlocks, int MaxSequenceLength, EngineOptions Engine, TimeSpan StepTimeout)
{
    /// <param name="weightsAddress">Where this worker reaches the coordinator's Weights service.</param>
    public AssignRequest ToMessage(StageWorker worker, Uri weightsAddress) => new()
    {
        Plan = Plan.ToMessage(),
        WorkerId = worker.Id.Value,
        ModelPath = ModelPath,
        WeightsAddress = PeerAddress.Format(weightsAddress),
        KvBlockCount = (uint)KvBlocks,
        KvType = Engine.KvType,
        MaxStepRows = (uint)Engine.MaxStepRows,
        MaxSequenceLength = (uint)MaxSequenceLength,
        ActivationType = Engine.ActivationType,
        SumType = Engine.SumType,
        StepTimeoutMilliseconds = (uint)StepTimeout.TotalMilliseconds,
    };
}
