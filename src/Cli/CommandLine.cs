using System.CommandLine;
using LlamaCluster.Cli.Bench;
using LlamaCluster.Cli.CapacityPlanning;
using LlamaCluster.Cli.Certificates;
using LlamaCluster.Cli.Chat;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Doctor;
using LlamaCluster.Cli.Keys;
using LlamaCluster.Cli.Models;
using LlamaCluster.Cli.Observing;
using LlamaCluster.Cli.Sessions;
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
        var parsed = Root(input, bytes ?? ByteStreams.OfConsole(), args.Count > 0 ? args[0] : null).Parse(args, Words);
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

    /// <summary>A word that begins with @ is a word like any other: a prompt, or a file that an option says how to read.</summary>
    static readonly ParserConfiguration Words = new() { ResponseFileTokenReplacer = null };

    const string About = "Serves one Llama model over several machines. PATH is a .gguf file (first part if split) or a Hugging Face folder.";

    /// <param name="only">
    /// Builds no other command than the one of this name, since hundreds of options are a sixth of a short command's time; all if there is none.
    /// </param>
    internal static RootCommand Root(TextReader input, ByteStreams bytes, string? only = null)
    {
        (string Name, Func<Command> Create)[] commands =
        [
            ("up", UpCommand.Create),
            ("coordinator", CoordinatorCommand.Create),
            ("worker", WorkerCommand.Create),
            ("chat", () => ChatCommand.Create(input)),
            ("top", TopCommand.Create),
            ("doctor", DoctorCommand.Create),
            ("sessions", SessionsCommand.Create),
            ("generate", GenerateCommand.Create),
            ("tokenize", () => TokenizeCommand.Create(bytes)),
            ("template", TemplateCommand.Create),
            ("pull", PullCommand.Create),
            ("inspect", InspectCommand.Create),
            ("bench", BenchCommand.Create),
            ("perplexity", PerplexityCommand.Create),
            ("plan", PlanCommand.Create),
            ("quantize", QuantizeCommand.Create),
            ("metrics", MetricsCommand.Create),
            ("bundle", BundleCommand.Create),
            ("ca", AuthorityCommand.Create),
            ("keys", KeysCommand.Create),
        ];
        var root = new RootCommand(About);
        var one = Array.FindIndex(commands, command => command.Name == only);
        foreach (var (_, create) in one < 0 ? commands : commands.AsSpan(one, 1)) root.Add(create());
        return root;
    }

    static string CommandOf(ParseResult parsed)
        => parsed.CommandResult.Command is RootCommand ? "llamacluster" : $"llamacluster {parsed.CommandResult.Command.Name}";

    static string OneLine(string message) => ErrorText.OneLine(message).TrimEnd();
}
