using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests;

/// <summary>What a command line did in this process.</summary>
sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>What was written as bytes, which is nothing for most commands.</summary>
    public byte[] OutputBytes { get; init; } = [];

    /// <summary>The one line of an error.</summary>
    public string ErrorLine => Assert.Single(Error.TrimEnd('\n').Split('\n'));

    public static Task<CommandRun> OfAsync(string input, params string[] args) => RunAsync(input, [], args);

    public static Task<CommandRun> OfBytesAsync(byte[] input, params string[] args) => RunAsync("", input, args);

    static async Task<CommandRun> RunAsync(string input, byte[] inputBytes, string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        using var outputBytes = new MemoryStream();
        var bytes = new ByteStreams(new MemoryStream(inputBytes), outputBytes);
        var exitCode = await CommandLine.RunAsync(args, new StringReader(input), output, error, bytes).WaitAsync(Deadline);
        return new(exitCode, output.ToString(), error.ToString()) { OutputBytes = outputBytes.ToArray() };
    }
}
