using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Supervision;
using Spectre.Console;

namespace LlamaCluster.Cli.Up;

/// <summary>For a terminal: a bar for each worker. What the process logs meanwhile is drawn above them.</summary>
sealed class LoadingBars : LoadingView
{
    readonly IAnsiConsole _console;
    readonly TextWriter _error = Console.Error;

    public LoadingBars(IAnsiConsole console)
    {
        _console = console;
        Log = TextWriter.Synchronized(new LinesAbove(console));
        Console.SetError(Log); // where the coordinator's log goes
    }

    public override TextWriter Log { get; }

    public override async Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation)
        => await _console.Progress().AutoClear(true).Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
            .StartAsync(progress => FollowAsync(status, Shower(progress), cancellation));

    public override void Dispose()
    {
        Console.SetError(_error);
        Log.Dispose();
    }

    static Action<ClusterStatus> Shower(ProgressContext progress)
    {
        var waiting = progress.AddTask("starting").IsIndeterminate();
        var bars = new Dictionary<string, ProgressTask>();
        return status =>
        {
            waiting.Description = Markup.Escape(status.Reason.Length > 0 ? status.Reason : "ready");
            foreach (var shard in status.Shards)
            {
                var name = ShardText.Of(shard);
                if (!bars.TryGetValue(name, out var bar)) bars[name] = bar = progress.AddTask(Markup.Escape(name), maxValue: 1);
                bar.Value = shard.Fraction;
            }
        };
    }
}
