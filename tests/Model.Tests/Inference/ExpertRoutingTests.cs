using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Model.Tests.Inference;

public sealed class ExpertRoutingTests
{
    static readonly ExpertMixture Two = new() { Count = 4, UsedCount = 2, FfnSize = 32, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false };

    [Fact]
    public void EachExpertHasTheRowsThatChoseIt()
    {
        var routing = new ExpertRouting(Two, maxRows: 8);
        routing.Set([0, 3, 1, 2, 5, 4, 0, 0, 1, 9, 8, 2], rows: 3);

        Assert.Equal([1], routing.RowsOf(0).ToArray());
        Assert.Equal([0, 1, 2], routing.RowsOf(1).ToArray());
        Assert.Equal([2], routing.RowsOf(2).ToArray());
        Assert.Equal([0], routing.RowsOf(3).ToArray());
    }

    [Fact]
    public void TheSoftmaxOfTheChosenWeighsOutputs()
    {
        var routing = new ExpertRouting(Two, maxRows: 1);
        routing.Set([0, 3, 1, 2], rows: 1);

        var second = (float)(Math.Exp(-1) / (1 + Math.Exp(-1)));
        Assert.Equal((1f, 1 - second), (routing.InputFactors(1)[0], routing.OutputFactors(1)[0]));
        Assert.Equal((1f, second), (routing.InputFactors(3)[0], routing.OutputFactors(3)[0]));
    }

    [Fact]
    public void TheSigmoidWeighsInputs()
    {
        var routing = new ExpertRouting(Two with { UsedCount = 1, Gate = ExpertGate.Sigmoid }, maxRows: 1);
        routing.Set([-2, -1, -3, -4], rows: 1);

        Assert.Equal((float)(1 / (1 + Math.E)), routing.InputFactors(1)[0]);
        Assert.Equal(1, routing.OutputFactors(1)[0]);
        Assert.True(routing.RowsOf(0).IsEmpty && routing.RowsOf(2).IsEmpty && routing.RowsOf(3).IsEmpty);
    }

    [Fact]
    public void OfEqualExpertsTheFirstAreChosen()
    {
        var routing = new ExpertRouting(Two, maxRows: 1);
        routing.Set([1, 1, 1, 1], rows: 1);

        Assert.Equal([0], routing.RowsOf(0).ToArray());
        Assert.Equal([0], routing.RowsOf(1).ToArray());
    }

    [Fact]
    public void ARowThatIsNotFiniteMakesItsOwnWeightsSoAndNoOthers()
    {
        var routing = new ExpertRouting(Two with { UsedCount = 1, Gate = ExpertGate.Sigmoid }, maxRows: 2);
        routing.Set([float.NaN, float.NaN, float.NaN, float.NaN, 0, 1, 0, 0], rows: 2);

        Assert.Equal([0], routing.RowsOf(0).ToArray());
        Assert.True(float.IsNaN(routing.InputFactors(0)[0]));
        Assert.Equal((float)(1 / (1 + Math.Exp(-1))), routing.InputFactors(1)[0]);
    }

    [Fact]
    public void AStepForgetsTheOneBefore()
    {
        var routing = new ExpertRouting(Two, maxRows: 4);
        routing.Set([0, 3, 1, 2, 5, 4, 0, 0, 1, 9, 8, 2, 0, 0, 1, 1], rows: 4);
        routing.Set([9, 8, 1, 1], rows: 1);

        Assert.Equal([0], routing.RowsOf(0).ToArray());
        Assert.Equal([0], routing.RowsOf(1).ToArray());
        Assert.True(routing.RowsOf(2).IsEmpty && routing.RowsOf(3).IsEmpty);
    }
}
