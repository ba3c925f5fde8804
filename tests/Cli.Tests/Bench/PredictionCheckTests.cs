using LlamaCluster.Cli.Bench;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class PredictionCheckTests
{
    [Fact]
    public void Errors_are_of_what_was_measured()
    {
        var check = new PredictionCheck(PredictedSeconds: 0.022, PredictedAtReadsSeconds: 0.015, MeasuredSeconds: 0.02);

        Assert.Equal(0.1, check.Error, 1e-9);
        Assert.Equal(-0.25, check.ErrorAtReads, 1e-9);
        Assert.Equal("predicted    0.0220 s (10 % above the p50); at the memory's speed around the round 0.0150 s (25 % below the p50)", check.Line());
    }
}
