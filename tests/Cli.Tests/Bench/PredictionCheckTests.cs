using LlamaCluster.Cli.Bench;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class PredictionCheckTests
{
    [Theory]
    [InlineData(0.022, 0.020, 0.1)]
    [InlineData(0.015, 0.020, -0.25)]
    public void The_error_is_of_what_was_measured(double predicted, double measured, double error) =>
        Assert.Equal(error, new PredictionCheck(predicted, measured).Error, 1e-9);
}
