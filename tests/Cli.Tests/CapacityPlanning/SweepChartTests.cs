using System.Xml.Linq;
using LlamaCluster.Cli.CapacityPlanning;

namespace LlamaCluster.Cli.Tests.CapacityPlanning;

public sealed class SweepChartTests
{
    static readonly SweepAxis Axis = SweepAxis.Parse("workers=1..3")!;

    [Fact]
    public void Every_series_is_a_line_through_what_fits()
    {
        SweepPoint[] points =
        [
            new(PlanSweep.Best, 1, null, null, "", "does not fit"),
            new(PlanSweep.Best, 2, 0.2, 5, "2", ""), new(PlanSweep.Best, 3, 0.15, 6.7, "3", ""),
            new(PlanSweep.Pipeline, 2, 0.4, 2.5, "1x2", ""), new(PlanSweep.Pipeline, 3, 0.4, 2.5, "1x3", ""),
        ];
        var svg = XDocument.Parse(new SweepChart("a <model>", "a & b", Axis, points, showsThroughput: false).Svg());

        var lines = svg.Descendants().Where(element => element.Name.LocalName == "polyline").Select(line => line.Attribute("points")!.Value.Split(' ').Length);
        Assert.Equal([2, 2], lines);
        Assert.Contains("prefers-color-scheme: dark", svg.ToString());
        Assert.Contains(svg.Descendants(), element => element.Value.StartsWith("PREDICTED, not measured"));
    }

    [Fact]
    public void Nothing_that_fits_is_said()
        => Assert.Contains("fits nowhere", new SweepChart("m", "c", Axis, [new(PlanSweep.Best, 1, null, null, "", "no")], showsThroughput: true).Svg());
}
