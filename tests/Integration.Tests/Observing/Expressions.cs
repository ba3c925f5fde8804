using System.Text.Json;
using System.Text.RegularExpressions;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>The PromQL that deploy/ has, as it can be asked at once.</summary>
static partial class Expressions
{
    public static string Deploy { get; } = Path.Combine(SharedFiles.Repository, "deploy");

    public static IReadOnlyList<string> Dashboards { get; } =
        [.. Directory.GetFiles(Path.Combine(Deploy, "grafana/dashboards"), "*.json").Order(StringComparer.Ordinal)];

    /// <summary>Where each one stands, and the expression with variables filled in as for "All".</summary>
    public static IEnumerable<(string Place, string Expression)> OfDashboards() =>
        from file in Dashboards
        let dashboard = JsonDocument.Parse(File.ReadAllText(file)).RootElement
        from panel in dashboard.GetProperty("panels").EnumerateArray()
        where panel.TryGetProperty("targets", out _)
        from target in panel.GetProperty("targets").EnumerateArray()
        select ($"{Path.GetFileName(file)}, {panel.GetProperty("title")}", FillIn(target.GetProperty("expr").GetString()!));

    /// <summary>Queries of variables: a selector and a label.</summary>
    public static IEnumerable<(string Place, string Selector, string Label)> OfVariables() =>
        from file in Dashboards
        let dashboard = JsonDocument.Parse(File.ReadAllText(file)).RootElement
        from variable in dashboard.GetProperty("templating").GetProperty("list").EnumerateArray()
        where variable.GetProperty("type").GetString() == "query"
        let call = LabelValues().Match(FillIn(variable.GetProperty("query").GetProperty("query").GetString()!))
        select ($"{Path.GetFileName(file)}, {variable.GetProperty("name")}", call.Groups[1].Value, call.Groups[2].Value);

    /// <summary>Of rules, without the comparisons of alerts: the numbers that are compared must be there.</summary>
    public static IEnumerable<(string Place, string Expression)> OfRules() =>
        from file in Directory.GetFiles(Path.Combine(Deploy, "prometheus/rules"), "*.yml").Order(StringComparer.Ordinal)
        from Match rule in Rule().Matches(File.ReadAllText(file))
        select ($"{Path.GetFileName(file)}, {rule.Groups[1].Value}", Comparison().Replace(rule.Groups[2].Value.Replace(">-", ""), " "));

    static string FillIn(string expression) => Variable().Replace(expression.Replace("$__rate_interval", "30s").Replace("$__range", "1m"), ".*");

    [GeneratedRegex(@"\$\w+")]
    private static partial Regex Variable();

    [GeneratedRegex(@"^label_values\((.+), (\w+)\)$")]
    private static partial Regex LabelValues();

    [GeneratedRegex(@"- (?:alert|record): (\S+)\s+expr: (.+?)(?=\n\s*(?:for|labels|annotations|- record|- alert):|\n\n|\z)", RegexOptions.Singleline)]
    private static partial Regex Rule();

    [GeneratedRegex(@" (==|>|<) [0-9.]+")]
    private static partial Regex Comparison();
}
