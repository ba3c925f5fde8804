using System.Diagnostics;
using System.Text.Json;

namespace LlamaCluster.Testing.Npm;

/// <summary>Runs one of the tests' scripts in Node.js and reads the one JSON object that it prints.</summary>
public static class NodeScript
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    public static async Task<JsonElement> RunAsync(string script, params string[] args)
    {
        var packages = NodePackages.Installed;
        if (packages.Failure is not null) throw new InvalidOperationException(packages.Failure);
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
            await process.WaitForExitAsync().WaitAsync(Deadline);
            return process.ExitCode == 0 ? JsonDocument.Parse(await output).RootElement : throw new InvalidOperationException($"{script}: {await errors}");
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }
}
