using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Protos;
using Spectre.Console;

namespace LlamaCluster.Cli.Up;

/// <summary>Shows on stderr how much of the model the workers have loaded.</summary>
abstract class LoadingView : IDisposable
{
    /// <summary>Shows other lines, such as those of workers, without disturbing the progress.</summary>
    public abstract TextWriter Log { get; }

    /// <summary>Creates bars for a terminal, and lines for anything else.</summary>
    public static LoadingView For(TextWriter error) => ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected
        ? new LoadingBars(AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }))
        : new LoadingLines(error);

    /// <summary>Shows the progress until the model is ready.</summary>
    public abstract Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation);

    public virtual void Dispose()
    {
    }

    /// <summary>Calls <paramref name="show"/> with each status up to the first one that is ready.</summary>
    protected static async Task FollowAsync(Latest<ClusterStatus> status, Action<ClusterStatus> show, CancellationToken cancellation)
    {
        var shown = status.Value;
        show(shown);
        while (!shown.IsReady)
        {
            var last = shown;
            shown = await status.WaitAsync(value => !ReferenceEquals(value, last), cancellation);
            show(shown);
        }
    }
}

/// <summary>The view for files and pipes: a line for each worker at every quarter of its shard. The coordinator's log has the rest.</summary>
sealed class LoadingLines(TextWriter error) : LoadingView
{
    const int Steps = 4;

    readonly Dictionary<string, string> _last = [];

    public override TextWriter Log { get; } = TextWriter.Synchronized(error);

    public override Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation) => FollowAsync(status, Show, cancellation);

    void Show(ClusterStatus status)
    {
        foreach (var shard in status.Shards)
        {
            var line = $"{ShardText.Of(shard)}: {shard.Phase.ToString().ToLowerInvariant()} {Math.Floor(shard.Fraction * Steps) / Steps:P0}";
            if (shard.Phase == LoadProgress.Types.Phase.Unspecified || _last.GetValueOrDefault(shard.WorkerName) == line) continue;
            _last[shard.WorkerName] = line;
            Log.WriteLine(line + ShardText.PaceOf(shard));
        }
    }
}

/// <summary>The view for a terminal: a bar for each worker. Log lines appear above the bars.</summary>
sealed class LoadingBars : LoadingView
{
    readonly IAnsiConsole _console;
    readonly TextWriter _error = Console.Error;

    public LoadingBars(IAnsiConsole console)
    {
        _console = console;
        Log = TextWriter.Synchronized(new LinesAbove(console));
        Console.SetError(Log);   // the coordinator's log goes to the console's stderr
    }

    public override TextWriter Log { get; }

    public override async Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation)
        => await _console.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
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
                bar.Description = Markup.Escape(name + ShardText.PaceOf(shard));
            }
        };
    }
}

/// <summary>Writes text to a console with bars: whole lines, without the colours that they contain.</summary>
sealed partial class LinesAbove(IAnsiConsole console) : TextWriter
{
    readonly StringBuilder _line = new();

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        if (value != '\n')
        {
            _line.Append(value);
            return;
        }
        console.WriteLine(Colour().Replace(_line.ToString().TrimEnd('\r'), ""));
        _line.Clear();
    }

    [GeneratedRegex(@"\x1B\[[0-9;]*m")]
    private static partial Regex Colour();
}

/// <summary>Describes a worker's shard for people.</summary>
static class ShardText
{
    public static string Of(ShardProgress progress)
    {
        var (layers, slice) = (progress.Shard.Layers, progress.Shard.Slice);
        var rank = slice.IsWhole ? "" : $", rank {slice.Rank} of {slice.RankCount}";
        return $"{progress.WorkerName}, stage {progress.Stage}, layers {layers.First} to {layers.End - 1}{rank}";
    }

    /// <summary>Bytes, rate and time left; "" while the rate is unknown, and when nothing is left.</summary>
    public static string PaceOf(ShardProgress progress) => progress.SecondsLeft is { } left and > 0
        ? $", {Amount.Bytes(progress.BytesDone)} of {Amount.Bytes(progress.BytesTotal)}, {Amount.ByteRate(progress.BytesPerSecond)}, {Amount.Span(left)} left"
        : "";
}
