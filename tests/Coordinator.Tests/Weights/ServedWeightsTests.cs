using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Protos;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Coordinator.Tests.Weights;

public sealed class ServedWeightsTests
{
    [Fact]
    public void All_that_attention_may_have_is_described()
    {
        using var weights = (SyntheticModel.Small with
        {
            Config = SyntheticModel.Small.Config with
            {
                RopeScaling = new RopeScaling.Yarn(Factor: 4, OriginalContextLength: 64, FastTurns: 16, SlowTurns: 2, Magnitude: 0.9f),
                QueryScale = new QueryScale(Growth: 0.2f, Span: 64, Offset: 1),
                Biases = AttentionBiases.Output,
                Window = 100,
            },
        }).Weights();

        var config = new ServedWeights(weights, "synthetic", weights.ComputeDigest(), Hashes: null!).Describe().Config;

        Assert.Equal(
            new RopeScalingMessage
            {
                Kind = RopeScalingMessage.Types.Kind.Yarn,
                Factor = 4,
                OriginalContextLength = 64,
                FastTurns = 16,
                SlowTurns = 2,
                Magnitude = 0.9f,
            },
            config.RopeScaling);
        Assert.Equal(new QueryScaleMessage { Growth = 0.2f, Span = 64, Offset = 1 }, config.QueryScale);
        Assert.Equal((2u, 100u), (config.AttentionBiases, config.Window));
    }
}
