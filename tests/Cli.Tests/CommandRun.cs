namespace LlamaCluster.Cli.Tests;

/// <summary>What a command line did in this process.</summary>
sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    public static async Task<CommandRun> OfAsync(string input, params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exitCode = await CommandLine.RunAsync(args, new StringReader(input), output, error).WaitAsync(Deadline);
        return new(exitCode, output.ToString(), error.ToString());
    }
}
