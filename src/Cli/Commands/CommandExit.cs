namespace LlamaCluster.Cli.Commands;

/// <summary>The exit codes of all commands.</summary>
static class ExitCode
{
    public const int Done = 0;

    public const int Failed = 1;

    public const int WrongUsage = 2;
}

/// <summary>A command cannot do what it was asked to. The message is one line: what, where, and what to do.</summary>
sealed class CommandFailedException(string message) : Exception(message);

/// <summary>Standard input and output as bytes, for commands that promise exact bytes: no text encoding changes them.</summary>
/// <param name="Input">The command that needs it reads it to its end.</param>
/// <param name="Output">The command writes and flushes it, and writes no text to the console besides.</param>
public sealed record ByteStreams(Stream Input, Stream Output)
{
    public static ByteStreams OfConsole() => new(Console.OpenStandardInput(), Console.OpenStandardOutput());
}
