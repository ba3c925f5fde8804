using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class DraftLengthTests
{
    [Theory]
    [InlineData(0.5, 1, 7, 2)]    // a row costs a fifth of a token
    [InlineData(0.9, 1, 7, 7)]
    [InlineData(0.9, 1, 3, 3)]
    [InlineData(0.15, 1, 7, 0)]
    [InlineData(0.5, 8, 7, 0)]    // two thirds
    [InlineData(0.9, 8, 7, 3)]
    [InlineData(0.9, 128, 7, 0)]
    [InlineData(1, 128, 7, 7)]
    [InlineData(1, 1, 0, 0)]
    public void Is_what_gains_more_than_it_costs(double acceptance, long rows, int most, int worth) =>
        Assert.Equal(worth, DraftLength.Worth(acceptance, rows, most));
}
