using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator.Observing;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LlamaCluster.Cli.Observing;

/// <summary>One picture of a cluster for a terminal: what the console shows, in lines.</summary>
static class TopFrame
{
    const int BarWidth = 10;
    const int MostViews = 4;
    const int MostOthers = 6;

    static readonly Markup Blank = new(" ");

    /// <param name="history">Tokens per second of the last snapshots, oldest first.</param>
    /// <param name="trouble">Why the snapshot is an old one; empty: it is not.</param>
    public static IRenderable Of(ClusterSnapshot cluster, IReadOnlyList<double> history, string trouble)
    {
        var replica = cluster.Replicas[0];
        List<IRenderable> rows = [Head(cluster, replica)];
        if (trouble.Length > 0) rows.Add(new Markup($"[red]{Markup.Escape(trouble)}; trying again[/]"));
        if (!replica.Ready) rows.Add(new Markup($"[yellow]{Markup.Escape(replica.Reason.Length > 0 ? replica.Reason : replica.Phase)}[/]"));
        rows.AddRange([Blank, Figures(replica), Blank]);
        if (history.Count > 1) rows.AddRange([new Markup($"[blue]{Sparkline(history)}[/] [grey]tokens/s, up to {Amount.Figures(history.Max())}[/]"), Blank]);
        rows.Add(Pipeline(cluster, replica));
        if (Others(cluster) is { } others) rows.AddRange([Blank, others]);
        if (replica.Plan is { } plan)
        {
            var predicted = $"[grey]plan[/] {Amount.Seconds(plan.TokenSeconds)} a token predicted [grey]=[/] {Markup.Escape(Arithmetic(plan.Token))}";
            rows.AddRange([Blank, new Markup(predicted)]);
        }
        if (replica.Views.Count > 0) rows.AddRange([Blank, Views(cluster, replica)]);
        return new Rows(rows);
    }

    static Markup Head(ClusterSnapshot cluster, ReplicaFacts replica)
    {
        var (state, colour) = replica.Ready ? ("ready", "green") : replica.Recovering ? ("recovering", "yellow") : (replica.Phase, "yellow");
        return new Markup(
            $"[bold]LlamaCluster[/]  {Markup.Escape(cluster.Model.Id)} "
            + $"[grey]{Amount.Count(cluster.Model.Layers, "layer")}, {Amount.Bytes(cluster.Model.Bytes)}[/]  [{colour}]{state}[/]"
            + $"  [grey]view {VersionOf(replica.View.Version)}, up {Amount.Span(cluster.UptimeSeconds)}[/]");
    }

    static Grid Figures(ReplicaFacts replica)
    {
        var (rates, load, totals, latency) = (replica.Rates, replica.Load, replica.Totals, replica.Latency);
        var blocks = load.KvBlocksUsed + load.KvBlocksCached + load.KvBlocksFree;
        double? Part(double of, double all) => all > 0 ? of / all : null;
        var grid = new Grid();
        for (var i = 0; i < 6; i++) grid.AddColumn(new GridColumn { Padding = new Padding(0, 0, 3, 0), NoWrap = true });
        grid.AddRow([.. new[]
        {
            "generating", "first token", "each token", "sequences", "KV cache", "prefix cache",
        }.Select(title => new Markup($"[grey]{title}[/]"))]);
        grid.AddRow(
        [
            new Markup($"[bold]{(rates is null ? Amount.Unknown : Amount.Figures(rates.GeneratedTokensPerSecond))} tok/s[/]"),
            new Markup($"[bold]{Amount.Seconds(latency.FirstToken.P50)}[/]"),
            new Markup($"[bold]{Amount.Seconds(latency.PerToken.P50)}[/]"), new Markup($"[bold]{load.Running} running[/]"),
            new Markup($"[bold]{Amount.Percent(Part(load.KvBlocksUsed, blocks))}[/]"),
            new Markup($"[bold]{Amount.Percent(Part(totals.PrefixTokensHit, totals.PrefixTokensQueried))}[/]"),
        ]);
        grid.AddRow([.. new[]
        {
            $"prompts {(rates is null ? Amount.Unknown : Amount.Figures(rates.PromptTokensPerSecond))}",
            $"p95 {Amount.Seconds(latency.FirstToken.P95)}", $"p95 {Amount.Seconds(latency.PerToken.P95)}",
            $"{load.Waiting} waiting", $"{Amount.Percent(Part(load.KvBlocksCached, blocks))} kept", $"{Amount.Count(load.Sessions, "session")}",
        }.Select(under => new Markup($"[grey]{under}[/]"))]);
        return grid;
    }

    static Table Pipeline(ClusterSnapshot cluster, ReplicaFacts replica)
    {
        // Only models with experts have the column.
        var hasExperts = replica.Stages.Any(stage => stage.Experts is not null);
        var table = TableOf(["stage", "layers", .. hasExperts ? ["experts"] : (string[])[], "worker", "state", "busy", "step", "memory", "to the next"]);
        foreach (var stage in replica.Stages)
            foreach (var rank in stage.Ranks)
            {
                var worker = cluster.Workers.FirstOrDefault(worker => worker.Id == rank.Worker);
                var needs = rank.WeightBytes + rank.KvBytes + rank.BufferBytes;
                table.AddRow(
                [
                    new Markup(stage.Ranks.Count > 1 ? $"{stage.Stage}.{rank.Rank}" : $"{stage.Stage}"),
                    new Markup($"{stage.FirstLayer}..{stage.FirstLayer + stage.Layers - 1}"),
                    .. hasExperts ? [new Markup(stage.Experts ?? Amount.Unknown)] : (Markup[])[],
                    new Markup(Markup.Escape(worker?.Name ?? rank.Worker)), State(worker), Busy(rank.Busy), new Markup(Amount.Seconds(rank.StepSeconds)),
                    new Markup(worker is { MemoryBytes: > 0 } ? $"{Amount.Bytes(needs)} of {Amount.Bytes(worker.MemoryBytes)}" : Amount.Bytes(needs)),
                    new Markup(WayOf(replica, rank.Worker)),
                ]);
            }
        if (replica.Stages.Count == 0) table.AddRow(new Markup("[grey]–[/]"), Blank, new Markup("[grey]nothing is planned yet[/]"));
        return table;
    }

    /// <summary>Workers that the plan does without.</summary>
    static Markup? Others(ClusterSnapshot cluster)
    {
        var planned = cluster.Replicas[0].Stages.SelectMany(stage => stage.Ranks).Select(rank => rank.Worker).ToHashSet();
        var present = cluster.Workers.Where(worker => worker.State != "lost").Select(worker => worker.Name).ToHashSet();
        var others = cluster.Workers
            .Where(worker => (worker.Id is null || !planned.Contains(worker.Id)) && (worker.State != "lost" || !present.Contains(worker.Name)))
            .TakeLast(MostOthers).ToList();
        return others.Count == 0 ? null
            : new Markup($"[grey]others[/] {string.Join("[grey],[/] ", others.Select(worker => $"{Markup.Escape(worker.Name)} {Coloured(worker)}"))}");
    }

    static Table Views(ClusterSnapshot cluster, ReplicaFacts replica)
    {
        var table = TableOf("view", "ready after", "served", "ended because");
        foreach (var view in replica.Views.Reverse().Take(MostViews))
            table.AddRow(
                new Markup(VersionOf(view.Version)), new Markup(Amount.Seconds(view.Ready - view.Began)),
                new Markup(view.Ready is { } ready ? Amount.Span((view.Ended ?? cluster.Time) - ready) : Amount.Unknown),
                view.Ended is null
                    ? new Markup("[grey]it serves[/]")
                    : new Markup(view.Planned ? Markup.Escape(view.End) : $"[red]{Markup.Escape(view.End)}[/]"));
        return table;
    }

    static Table TableOf(params string[] columns)
    {
        var table = new Table { Border = TableBorder.None, ShowRowSeparators = false };
        foreach (var column in columns)
            table.AddColumn(new TableColumn(new Markup($"[grey]{column}[/]")) { Padding = new Padding(0, 0, 2, 0), NoWrap = column != columns[^1] });
        return table;
    }

    static Markup State(WorkerFacts? worker) => new(worker is null ? "[red]gone[/]" : Coloured(worker));

    static string Coloured(WorkerFacts worker)
    {
        var colour = worker.State switch { "serving" or "spare" => "green", "lost" or "unreachable" => "red", _ => "yellow" };
        var loading = worker is { State: "loading", Loading: { } progress } ? $" {Amount.Percent(progress.Fraction)}" : "";
        if (loading.Length > 0 && worker.Loading is { SecondsLeft: > 0 and var left }) loading += $", {Amount.Span(left)} left";
        return $"[{colour}]{worker.State.Replace('_', ' ')}{loading}[/]";
    }

    static Markup Busy(double? busy)
    {
        if (busy is not { } part) return new Markup($"[grey]{Amount.Unknown}[/]");
        var filled = (int)Math.Round(part * BarWidth);
        return new Markup($"[blue]{new string('█', filled)}[/][grey]{new string('·', BarWidth - filled)}[/] {Amount.Percent(busy),5}");
    }

    /// <summary>What flows from a worker to the next stage, and over what.</summary>
    static string WayOf(ReplicaFacts replica, string worker)
    {
        var links = replica.Links.Where(link => link.Kind == "activations" && link.From == worker).ToList();
        if (links.Count == 0) return "";
        var flow = links.Sum(link => link.FlowBytesPerSecond ?? 0);
        var speed = links.Min(link => link.BytesPerSecond) is { } slowest ? Amount.BitRate(slowest)
            : links.TrueForAll(link => link.SameHost) ? "same host"
            : "not measured";
        return $"{Amount.ByteRate(flow)} [grey]{speed}[/]";
    }

    static string Arithmetic(PartFacts token) => string.Join(" + ", new (string Name, double Seconds)[]
    {
        ("weights", token.Weights), ("arithmetic", token.Arithmetic), ("keys and values", token.Attention), ("sums", token.Exchange),
        ("activations", token.Transfer), ("program", token.Program),
    }.Where(part => part.Seconds > 0).Select(part => $"{part.Name} {Amount.Seconds(part.Seconds)}"));

    static string Sparkline(IReadOnlyList<double> values)
    {
        const string heights = "▁▂▃▄▅▆▇█";
        var most = Math.Max(values.Max(), double.Epsilon);
        return string.Concat(values.Select(value => heights[(int)Math.Clamp(value / most * (heights.Length - 1), 0, heights.Length - 1)]));
    }

    /// <summary>Versions of an epoch begin at a thousand million times its number: "1·3" is the third of the first epoch.</summary>
    static string VersionOf(ulong version) => version / 1_000_000_000 is > 0 and var epoch ? $"{epoch}·{version % 1_000_000_000}" : $"{version}";
}
