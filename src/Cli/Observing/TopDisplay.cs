using Microsoft.Win32.SafeHandles;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LlamaCluster.Cli.Observing;

/// <summary>Where pictures of a cluster are shown.</summary>
abstract class TopDisplay
{
    /// <summary>One picture in place of the last one in a terminal, one below the other in files and pipes.</summary>
    public static TopDisplay For(TextWriter output, TextWriter error)
    {
        if (ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected) return new TopScreen();
        return new TopLines(ReferenceEquals(output, Console.Out) && OpenPipe() is { } pipe ? pipe : output, error);
    }

    /// <summary>The console's own writer does not tell that nobody reads a pipe any more; this one does.</summary>
    /// <returns>Null if the output is no pipe.</returns>
    static StreamWriter? OpenPipe()
    {
        if (OperatingSystem.IsWindows()) return null;
        var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write);
        return stream.CanSeek ? null : new StreamWriter(stream);
    }

    public abstract Task RunAsync(Func<Task> follow, CancellationTokenSource told);

    public abstract void Show(IRenderable frame);

    /// <summary>Says why there is nothing new.</summary>
    /// <param name="last">The last picture, with the reason in it.</param>
    public abstract void Tell(string problem, IRenderable last);
}

/// <summary>A terminal: one picture in place of the last one. The key q ends it.</summary>
sealed class TopScreen : TopDisplay
{
    readonly IAnsiConsole _console = AnsiConsole.Console;
    LiveDisplayContext? _live;

    public override async Task RunAsync(Func<Task> follow, CancellationTokenSource told)
    {
        if (!Console.IsInputRedirected) new Thread(() => ReadKeys(told)) { IsBackground = true, Name = "keys" }.Start();
        var display = _console.Live(new Markup("[grey]waiting for the cluster[/]")).Overflow(VerticalOverflow.Crop).Cropping(VerticalOverflowCropping.Bottom);
        await display.StartAsync(async live =>
        {
            _live = live;
            await follow();
        });
    }

    public override void Show(IRenderable frame)
    {
        if (_live is { } live) live.UpdateTarget(frame);
        else _console.Write(frame);
    }

    public override void Tell(string problem, IRenderable last) => Show(last);

    static void ReadKeys(CancellationTokenSource told)
    {
        try
        {
            while (Console.ReadKey(intercept: true).KeyChar is not ('q' or 'Q')) { }
            told.Cancel();
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException or IOException)
        {
            // there is no terminal to read from, or the command is over
        }
    }
}

/// <summary>A file or a pipe: pictures without colours, an empty line between them. Problems go to stderr, each once.</summary>
sealed class TopLines(TextWriter output, TextWriter error) : TopDisplay
{
    const int Width = 140;

    bool _isFirst = true;
    string _told = "";

    public override Task RunAsync(Func<Task> follow, CancellationTokenSource told) => follow();

    public override void Show(IRenderable frame)
    {
        if (!_isFirst) output.WriteLine();
        (_isFirst, _told) = (false, "");
        output.WriteLine(Plain(frame));
        output.Flush();
    }

    public override void Tell(string problem, IRenderable last)
    {
        if (problem == _told) return;
        _told = problem;
        error.WriteLine($"{problem}; trying again");
    }

    internal static string Plain(IRenderable frame)
    {
        var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = Width;
        console.Write(frame);
        return string.Join(Environment.NewLine, text.ToString().ReplaceLineEndings("\n").TrimEnd('\n').Split('\n').Select(line => line.TrimEnd()));
    }
}
