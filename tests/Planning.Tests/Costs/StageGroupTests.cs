using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Tests.Costs;

public sealed class StageGroupTests
{
    [Fact]
    public void A_tied_head_needs_nothing_beside_the_embedding_however_many_ranks_share_it()
    {
        var model = Footprints.Of("llama-3.2-1b");
        Assert.True(model.TiedEmbeddings);
        var problem = new PlanningProblem(model, Clusters.Alike(2, Clusters.Fast), PlanGoal.Of(PlanObjective.Latency, 16, 1), new Overheads { Resident = 1 });
        double WeightsOf(int[] workers) => StageGroup.Of(problem, workers, RankShares.Equal(workers.Length)).MemoryOf(0, 0, model.LayerCount).Weights;

        var layers = model.Layers.Sum(layer => layer.Bytes);
        Assert.Equal(model.Embedding.Bytes + layers, WeightsOf([0]), 1);
        Assert.InRange(WeightsOf([0, 1]), model.Embedding.Bytes + layers / 2, model.Embedding.Bytes + layers / 2 * 1.01);   // norms are whole
    }
}
