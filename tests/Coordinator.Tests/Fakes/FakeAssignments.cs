using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using static LlamaCluster.Protos.LoadProgress.Types;

namespace LlamaCluster.Coordinator.Tests.Fakes;

sealed class FakeAssignments(FakeWorker worker) : Assignments.AssignmentsBase
{
    public override async Task Prepare(AssignRequest request, IServerStreamWriter<LoadProgress> responses, ServerCallContext context)
    {
        worker.Prepare();
        await responses.WriteAsync(new LoadProgress { ViewVersion = request.Plan.ViewVersion, Phase = Phase.Ready, Source = "local fake" });
    }

    public override async Task Assign(AssignRequest request, IServerStreamWriter<LoadProgress> responses, ServerCallContext context)
    {
        worker.Assigned.Enqueue(request);
        var plan = request.Plan.ToPlan();
        if (plan.ViewVersion <= worker.ViewVersion)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"view {plan.ViewVersion} is not above {worker.ViewVersion}"));
        if (worker.OnAssign is { } misbehave)
        {
            await misbehave(request, responses, context.CancellationToken);
            return;
        }
        worker.ViewVersion = plan.ViewVersion;
        var blocks = worker.KvBlocks ?? request.KvBlockCount;
        var part = plan.Find(new WorkerId(request.WorkerId))!;
        worker.Stage = new FakeStage(plan.ViewVersion, part.Stage, plan.StageCount, (int)request.KvBlockCount, part.Shard.Slice.Rank);
        foreach (var (phase, done) in new[] { (Phase.Opening, 0ul), (Phase.Loading, 500ul), (Phase.Ready, 1000ul) })
            await responses.WriteAsync(new LoadProgress
            {
                ViewVersion = plan.ViewVersion,
                Phase = phase,
                BytesDone = done,
                BytesTotal = 1000,
                Source = "local fake",
                ModelDigest = plan.ModelDigest,
                KvBlockCount = blocks,
            });
    }
}
