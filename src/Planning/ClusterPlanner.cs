using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning;

/// <summary>
/// Plans a view of the registered workers with <see cref="PipelinePlanner"/>. Every worker is used, unless there are more workers than layers.
/// The plan has room for the wanted number of KV blocks if possible, else for at least one stream of the full context, else for at least the minimum.
/// Pure and deterministic.
/// </summary>
public static class ClusterPlanner
{
    public static PlanOutcome Plan(PlanRequest request)
    {
        if (request.Workers.Count == 0) return new PlanOutcome.Refused("there are no workers");
        var cluster = MeasuredCluster.Of(request.Workers, request.Links);
        var oneStream = Math.Clamp(KvBlock.CountFor(ContextOf(request)), request.MinKvBlocks, request.KvBlocks);
        var (problem, outcome) = Attempt(request.KvBlocks);
        if (outcome is PipelineOutcome.Refused) (problem, outcome) = Attempt(oneStream);
        if (outcome is PipelineOutcome.Refused) (problem, outcome) = Attempt(request.MinKvBlocks);
        return outcome switch
        {
            PipelineOutcome.Planned planned => new PlanOutcome.Planned(
                ViewOf(request, cluster, planned.Pipeline), KvBlocks(request, problem, planned.Pipeline), planned.Pipeline, problem),
            PipelineOutcome.Refused refused => new PlanOutcome.Refused(refused.Reason),
            _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
        };

        (PlanningProblem, PipelineOutcome) Attempt(int kvBlocks)
        {
            var attempt = ProblemOf(request, cluster, kvBlocks);
            return (attempt, PipelinePlanner.Plan(attempt));
        }
    }

    static int ContextOf(PlanRequest request) => request.Context ?? request.Footprint.ContextLength;

    static PlanningProblem ProblemOf(PlanRequest request, MeasuredCluster cluster, int kvBlocks) => new(
        request.Footprint,
        cluster.Profile,
        PlanGoal.Of(request.Objective, ContextOf(request), request.Streams) with
        {
            KvBlocks = kvBlocks,
            BufferBytes = request.BufferBytes,
            RanksPerStage = request.TensorParallel,
            ExpertParallel = request.ExpertParallel,
            UsesAll = true,
        },
        new Overheads());

    static ClusterPlan ViewOf(PlanRequest request, MeasuredCluster cluster, PlannedPipeline pipeline) => ClusterPlan.Create(
        request.ViewVersion, request.Model.Name, request.Model.Digest, request.Footprint.LayerCount,
        [
            .. pipeline.Stages.SelectMany((stage, index) => stage.Workers.Select((worker, rank) => new ShardAssignment(
                cluster.Members[worker].Id, cluster.Members[worker].Address, index, new Shard(stage.Layers, new TensorSlice(rank, stage.Shares))))),
        ]);

    /// <summary>The wanted number, or what the worker with the least memory has room for.</summary>
    static int KvBlocks(PlanRequest request, PlanningProblem problem, PlannedPipeline pipeline)
    {
        var blocks = (double)request.KvBlocks;
        foreach (var (stage, prediction) in pipeline.Stages.Zip(pipeline.Prediction.Stages))
            foreach (var (worker, memory) in stage.Workers.Zip(prediction.Memory))
                if (problem.Cluster.Workers[worker].MemoryBytes is > 0 and var all)
                    blocks = Math.Min(blocks, problem.Goal.KvBlocks * ((all - memory.Weights - memory.Buffers) / memory.Kv));
        return (int)blocks;
    }
}
