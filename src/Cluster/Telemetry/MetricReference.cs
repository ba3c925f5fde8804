using System.Globalization;
using System.Text;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>Writes tables of metrics for people, as Markdown.</summary>
public static class MetricReference
{
    /// <summary>One line for each metric under its own name.</summary>
    public static string Table(IEnumerable<MetricDefinition> metrics)
    {
        var text = new StringBuilder("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
        foreach (var metric in metrics.Where(metric => !metric.IsVllmOnly))
            text.Append(CultureInfo.InvariantCulture, $"| `{metric.PrometheusName}` | {KindOf(metric)} | {LabelsOf(metric)} | {metric.Meaning} |\n");
        return text.ToString();
    }

    /// <summary>One line for each metric that has a name of vLLM's.</summary>
    public static string VllmTable(IEnumerable<MetricDefinition> metrics)
    {
        var text = new StringBuilder("| metric | the same as | labels |\n|---|---|---|\n");
        foreach (var metric in metrics.Where(metric => metric.Vllm is not null))
            text.Append(CultureInfo.InvariantCulture,
                $"| `{metric.PrometheusVllmName}` | {(metric.IsVllmOnly ? metric.Meaning : $"`{metric.PrometheusName}`")} | {LabelsOf(metric)} |\n");
        return text.ToString();
    }

    static string KindOf(MetricDefinition metric)
    {
        var kind = metric.Kind.ToString().ToLowerInvariant();
        var unit = metric.Unit.Trim('{', '}') is { Length: > 0 } written && written != "1" ? written.Replace("{", "").Replace("}", "") : "";
        return unit.Length == 0 ? kind : $"{kind}, {unit}";
    }

    static string LabelsOf(MetricDefinition metric) => string.Join(", ", metric.Labels.Select(label => $"`{label.Replace('.', '_')}`"));
}
