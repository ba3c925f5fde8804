using System.Diagnostics;
using System.Text;

namespace LlamaCluster.Cli.Tests;

/// <summary>The program as a process of its own: what reaches the shell.</summary>
public sealed class ProgramTests
{
    [Fact]
    public async Task Results_go_to_standard_output_and_nothing_else_does()
    {
        var (exitCode, output, error) = await RunAsync([0xff, (byte)'a', 0x80], "tokenize", "--no-special");

        Assert.Equal(0, exitCode);
        Assert.Equal("", Encoding.UTF8.GetString(error));
        var (back, bytes, _) = await RunAsync(output, "tokenize", "--no-special", "--decode");
        Assert.Equal(0, back);
        Assert.Equal([0xff, (byte)'a', 0x80], bytes);
    }

    [Theory]
    [InlineData(1, "generate --model /nowhere.gguf --prompt a")]
    [InlineData(2, "generate --nonsense")]
    public async Task Failures_go_to_standard_error_with_their_exit_code(int expected, string line)
    {
        var (exitCode, output, error) = await RunAsync([], line.Split(' '));

        Assert.Equal((expected, 0), (exitCode, output.Length));
        Assert.StartsWith("error: ", Assert.Single(Encoding.UTF8.GetString(error).TrimEnd('\n').Split('\n')));
    }

    static async Task<(int ExitCode, byte[] Output, byte[] Error)> RunAsync(byte[] input, params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "llamacluster.dll"), .. args])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(CommandRun.Deadline);
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input, deadline.Token);
            process.StandardInput.Close();
            var (output, error) = (new MemoryStream(), new MemoryStream());
            await Task.WhenAll(
                process.StandardOutput.BaseStream.CopyToAsync(output, deadline.Token),
                process.StandardError.BaseStream.CopyToAsync(error, deadline.Token),
                process.WaitForExitAsync(deadline.Token));
            return (process.ExitCode, output.ToArray(), error.ToArray());
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }
}
