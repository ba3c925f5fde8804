using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Worker.Measuring;

namespace LlamaCluster.Cli.Observing;

/// <summary>`metrics`: prints the reference of all metrics, which is docs/metrics.md.</summary>
static class MetricsCommand
{
    public static Command Create()
    {
        var command = new Command("metrics", "Print what /metrics exports, as Markdown: names, units, labels and meaning.");
        command.SetAction(parsed =>
        {
            parsed.InvocationConfiguration.Output.Write(Page());
            return ExitCode.Done;
        });
        return command;
    }

    static string CoordinatorSections =>
        string.Join("\n", CoordinatorMetricTable.Sections.Select(section => $"### {section.Heading}\n\n{MetricReference.Table(section.Metrics)}"));

    /// <summary>Made of the tables that the instruments are made of. A test compares it with the file.</summary>
    internal static string Page() => $"""
        # Metrics

        This page is printed by `llamacluster metrics`, from the tables that the instruments are made of. [observability.md](observability.md)
        says how to scrape and what to watch.

        Names are those of Prometheus. A histogram has them with `_bucket`, `_sum` and `_count`. Units are in the names; *kind* says what is counted
        where there is none. Counters count from the process's start; histograms count from three seconds after it, or from the first scrape if that
        is earlier. A metric of facts (`..._info`) is always 1, and its labels are the facts.

        ## Coordinator

        At `/metrics` of the API's address, and of `--metrics-listen`. `replica` names the replica (`replica-0`), `model_name` the model; `stage` and
        `rank` count from 0; `worker` is a worker's `--name`, followed by its id where several have the same.

        {CoordinatorSections}
        ### Names of vLLM

        Routers, autoscalers and public dashboards that know vLLM find these, counted once and exported twice.

        {MetricReference.VllmTable(CoordinatorMetricTable.All)}
        ## Worker

        At `/metrics` of a worker's `--metrics-listen`. The coordinator exports what workers tell it about each step, so these are for a closer look
        at one machine.

        {MetricReference.Table(WorkerMetricTable.All)}
        ## Every process

        Of the process, of .NET and of ASP.NET Core. `target_info` has OpenTelemetry's resource attributes (`OTEL_RESOURCE_ATTRIBUTES`).

        {MetricReference.Table(PlatformMetrics.Table)}
        """.ReplaceLineEndings("\n");
}
