using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Supervision;
using Spectre.Console;

namespace LlamaCluster.Cli.Up;

/// <summary>Shows on stderr how far the workers are with loading the model.</summary>
abstract class LoadingView : IDisposable
{
    /// <summary>Takes lines that do not belong to the progress, such as those of workers, and shows them without disturbing it.</summary>
    public abstract TextWriter Log { get; }

    /// <summary>Bars on a terminal, lines elsewhere.</summary>
    public static LoadingView For(TextWriter error) => ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected
        ? new LoadingBars(AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }))
        : new LoadingLines(error);

    /// <summary>Shows what happens until the model is ready.</summary>
    public abstract Task FollowUntilReadyAsync(Latest<ClusterStatus> status, CancellationToken cancellation);

    public virtual void Dispose()
    {
    }

    /// <summary>Hands each status to <paramref name="show"/>, the last of them one that is ready.</summary>
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
