using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests.Loading;

public class RehearsalTests(ModelFile file) : IClassFixture<ModelFile>
{
    /// <summary>Every shard's stage takes the steps: first, middle and last.</summary>
    [Theory]
    [InlineData(0, 2)]
    [InlineData(2, 2)]
    [InlineData(4, 2)]
    [InlineData(0, 6)]
    public void Run_AnyShard_LeavesNothingBehind(int first, int count)
    {
        var model = new FakeModel();
        var steps = new List<Step>();
        model.OnRun = step =>
        {
            steps.Add(step);
            return null;
        };
        var weights = new FakeShardModel(model, file.Model.Config, new StageShape(first, count, file.Layers), 0);
        Rehearsal.Run(weights, new StageOptions { KvBlockCount = 1, MaxStepRows = 8, MaxSequenceLength = 64 });
        Assert.Equal([(0, 4), (4, 1)], steps.Select(step => (step.Chunks[0].Start, step.Chunks[0].Count)));
        Assert.Equal(0, model.LiveStages);
    }
}
