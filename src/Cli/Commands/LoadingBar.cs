using Spectre.Console;

namespace LlamaCluster.Cli.Commands;

/// <summary>Shows the progress of long work on standard error, if that is a terminal.</summary>
static class LoadingBar
{
    /// <summary>Runs the work, which reports how much of <paramref name="total"/> is done, in bytes, chunks or other units.</summary>
    public static T Show<T>(TextWriter error, string what, long total, Func<IProgress<long>?, T> work)
    {
        if (!ReferenceEquals(error, Console.Error) || Console.IsErrorRedirected) return work(null);
        return AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) })
            .Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(progress => work(new Bar(progress.AddTask(Markup.Escape(what), maxValue: Math.Max(total, 1)))));
    }

    sealed class Bar(ProgressTask task) : IProgress<long>
    {
        public void Report(long value) => task.Value = value;
    }
}
