using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;

namespace LlamaCluster.Planning.Tests.Plans;

public class ClusterPlanTests
{
    [Fact]
    public void Ranks_StagesOfDifferentSizes_AreThoseOfTheStage()
    {
        var plan = PlanBuilder.Plan(10, 2, 1, 3);

        Assert.Equal(3, plan.StageCount);
        Assert.Equal(["w0-0", "w0-1"], plan.Ranks(0).ToArray().Select(a => a.Worker.Value));
        Assert.Equal(["w1-0"], plan.Ranks(1).ToArray().Select(a => a.Worker.Value));
        Assert.Equal(["w2-0", "w2-1", "w2-2"], plan.Ranks(2).ToArray().Select(a => a.Worker.Value));
    }

    [Fact]
    public void Find_AWorker_GivesItsPartOrNull()
    {
        var plan = PlanBuilder.Plan(10, 1, 1);

        Assert.Equal(new LayerRange(5, 5), plan.Find(new WorkerId("w1-0"))!.Shard.Layers);
        Assert.Null(plan.Find(new WorkerId("stranger")));
    }

    [Fact]
    public void Create_OfAGap_SaysWhichStage()
    {
        var assignments = PlanBuilder.Assignments(10, 1, 1);
        assignments[1] = assignments[1] with { Shard = new Shard(new LayerRange(6, 4), TensorSlice.Whole) };

        var e = Assert.Throws<ArgumentException>(() => ClusterPlan.Create(1, "demo", PlanBuilder.Digest, 10, assignments));

        Assert.Contains("stage 1 starts at layer 6, not at 5", e.Message);
    }
}
