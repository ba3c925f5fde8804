using System.Diagnostics;
using LlamaCluster.Cli.Bench;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class StageReadingTests
{
    [Fact]
    public void What_happened_between_two_moments()
    {
        var from = new StageReading(Timestamp: 1000, Steps: 5, Tokens: 40, [new StageTotals(1, 0.25, ActivationBytes: 1000, SyncBytes: 100)]);
        var to = new StageReading(1000 + 2 * Stopwatch.Frequency, Steps: 15, Tokens: 80, [new StageTotals(2.5, 0.5, 3000, 500), new StageTotals(0.5, 0, 0, 0)]);

        var (seconds, steps, tokens, stages) = to.Since(from);

        Assert.Equal((2, 10, 40), (seconds, steps, tokens));
        Assert.Equal([new StageLoad(0, 0.75, 0.15, 0.025, 0.025, 50, 10), new StageLoad(1, 0.25, 0.05, 0, 0.15, 0, 0)], stages);
    }
}
