using System.CommandLine;
using LlamaCluster.Cli.Bench;
using LlamaCluster.Cli.CapacityPlanning;
using LlamaCluster.Cli.Chat;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Models;
using LlamaCluster.Cli.Observing;
using LlamaCluster.Cli.Up;
using LlamaCluster.Coordinator;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli;

/// <summary>
/// The `llamacluster` command line. Results go to stdout, everything else to stderr. An error is one line, and this is the one place where an
/// exception becomes that line. Exit codes: 0 done, 1 failed, 2 wrong usage.
/// </summary>
public static class CommandLine
{
    /// <param name="bytes">For the commands that read or write exact bytes; null: the console's.</param>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, TextReader input, TextWriter output, TextWriter error, ByteStreams? bytes = null)
    {
        var parsed = Root(input, bytes ?? ByteStreams.OfConsole()).Parse(args);
        if (parsed.Errors.Count > 0)
        {
            var first = parsed.Errors[0];
            var problem = parsed.UnmatchedTokens is [var unknown, ..] ? $"unknown: '{unknown}'." : ValueProblem.Of(first) ?? first.Message;
            error.WriteLine($"error: {OneLine(problem)} Try: {CommandOf(parsed)} --help");
            return ExitCode.WrongUsage;
        }
        try
        {
            // Commands that run for long handle signals themselves.
            return await parsed.InvokeAsync(new() { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (InvalidOptionsException wrong)
        {
            error.WriteLine($"error: {OneLine(wrong.Message)}");
            return ExitCode.WrongUsage;
        }
        catch (Exception failure) when (
            failure is CommandFailedException or ModelFormatException or IOException or UnauthorizedAccessException or TimeoutException or OutOfMemoryException)
        {
            error.WriteLine($"error: {OneLine(failure.Message)}");
            return ExitCode.Failed;
        }
    }

    const string About = "Serves one Llama model over several machines. PATH is a .gguf file (first part if split) or a Hugging Face folder.";

    internal static RootCommand Root(TextReader input, ByteStreams bytes) => new(About)
    {
        UpCommand.Create(),
        CoordinatorCommand.Create(),
        WorkerCommand.Create(),
        ChatCommand.Create(input),
        GenerateCommand.Create(),
        TokenizeCommand.Create(bytes),
        TemplateCommand.Create(),
        InspectCommand.Create(),
        BenchCommand.Create(),
        PerplexityCommand.Create(),
        PlanCommand.Create(),
        QuantizeCommand.Create(),
        MetricsCommand.Create(),
    };

    static string CommandOf(ParseResult parsed)
        => parsed.CommandResult.Command is RootCommand ? "llamacluster" : $"llamacluster {parsed.CommandResult.Command.Name}";

    static string OneLine(string message) => message.ReplaceLineEndings(" ").TrimEnd();
}
