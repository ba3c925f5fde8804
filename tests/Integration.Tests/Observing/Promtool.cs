using System.Diagnostics;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>A run of Prometheus's own tool.</summary>
/// <param name="Output">Of both streams.</param>
sealed record Promtool(int ExitCode, string Output)
{
    public static async Task<Promtool> RunAsync(string input, params string[] arguments)
    {
        var start = new ProcessStartInfo("promtool", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        try
        {
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync().WaitAsync(CliProcess.Deadline);
            return new Promtool(process.ExitCode, await output + await errors);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }
}
