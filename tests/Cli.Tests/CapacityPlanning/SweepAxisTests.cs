using LlamaCluster.Cli.CapacityPlanning;

namespace LlamaCluster.Cli.Tests.CapacityPlanning;

public sealed class SweepAxisTests
{
    [Fact]
    public void Workers_are_whole_numbers()
        => Assert.Equal([3.0, 4, 5], SweepAxis.Parse("workers=3..5")!.Values);

    [Fact]
    public void Links_go_in_equal_ratios_by_their_unit()
    {
        var trips = SweepAxis.Parse("link=10us..10ms")!;
        Assert.Equal((SweepSubject.RoundTrip, 19), (trips.Subject, trips.Values.Count));
        Assert.Equal((10e-6, 10e-3), (Math.Round(trips.Values[0], 9), Math.Round(trips.Values[^1], 9)));
        Assert.Equal(SweepSubject.Bandwidth, SweepAxis.Parse("link=1 Gbit/s..100 Gbit/s")!.Subject);
    }

    [Theory]
    [InlineData("workers")]
    [InlineData("workers=0..3")]
    [InlineData("workers=5..3")]
    [InlineData("workers=1..2000")]
    [InlineData("link=1us..1Gbit/s")]
    [InlineData("link=2ms..1ms")]
    [InlineData("memory=1GB..2GB")]
    public void Anything_else_is_none(string text) => Assert.Null(SweepAxis.Parse(text));
}
