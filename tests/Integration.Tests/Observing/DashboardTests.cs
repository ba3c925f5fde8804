using System.Text.Json;
using LlamaCluster.Testing.Npm;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>Dashboards against what Grafana publishes of their form. Grafana itself is not run: nothing here proves how they look.</summary>
public sealed class DashboardTests
{
    [NodeFact]
    public async Task They_have_the_types_of_Grafana_s_schema()
    {
        var result = await NodeScript.RunAsync("grafana-dashboards.mjs", [.. Expressions.Dashboards]);
        Assert.Equal(Expressions.Dashboards.Count, result.GetProperty("dashboards").GetInt32());
        Assert.Empty(result.GetProperty("errors").EnumerateArray().Select(error => error.GetString()));
        Assert.True(result.GetProperty("refused").GetBoolean(), "the check lets a dashboard pass that is wrong");
    }

    [Fact]
    public void Panels_do_not_overlap_and_have_a_place_in_the_grid()
    {
        foreach (var file in Expressions.Dashboards)
        {
            var panels = JsonDocument.Parse(File.ReadAllText(file)).RootElement.GetProperty("panels").EnumerateArray().ToList();
            Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
            var taken = new HashSet<(int, int)>();
            foreach (var panel in panels)
            {
                var place = panel.GetProperty("gridPos").Deserialize<Place>(JsonSerializerOptions.Web)!;
                Assert.InRange(place.X + place.W, 1, 24);
                for (var x = place.X; x < place.X + place.W; x++)
                    for (var y = place.Y; y < place.Y + place.H; y++)
                        Assert.True(taken.Add((x, y)), $"{Path.GetFileName(file)}: {panel.GetProperty("title")} overlaps another panel");
            }
        }
    }

    [Fact]
    public void Every_panel_asks_the_chosen_data_source_for_the_chosen_cluster()
    {
        foreach (var file in Expressions.Dashboards)
        {
            var dashboard = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
            var variables = dashboard.GetProperty("templating").GetProperty("list").EnumerateArray()
                .Select(variable => variable.GetProperty("name").GetString()!).ToHashSet();
            Assert.Superset(new HashSet<string> { "datasource", "cluster" }, variables);
            foreach (var panel in dashboard.GetProperty("panels").EnumerateArray().Where(panel => panel.TryGetProperty("targets", out _)))
                foreach (var target in panel.GetProperty("targets").EnumerateArray())
                {
                    Assert.Equal("${datasource}", target.GetProperty("datasource").GetProperty("uid").GetString());
                    Assert.Contains("cluster=~\"$cluster\"", target.GetProperty("expr").GetString());
                }
        }
    }

    sealed record Place(int X, int Y, int W, int H);
}
