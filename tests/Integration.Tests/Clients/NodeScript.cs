using System.Diagnostics;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>Runs one of the scripts beside this file and reads the one JSON object that it prints.</summary>
static class NodeScript
{
    public static async Task<JsonElement> RunAsync(string script, params string[] args)
    {
        var packages = NodePackages.Installed;
        Assert.True(packages.Failure is null, packages.Failure);
        var start = new ProcessStartInfo("node", [Path.Combine(packages.Folder, script), .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(CliProcess.Deadline);
            Assert.True(process.ExitCode == 0, await errors);
            return JsonDocument.Parse(await output).RootElement;
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }
}
