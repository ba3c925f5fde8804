using System.Diagnostics;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>Short programs of the system.</summary>
static class SystemCommand
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <exception cref="InvalidOperationException">It failed; the message has what it said, in one line.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    public static void Run(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true })!;
        var said = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience)) process.Kill();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{string.Join(' ', command)}: {said.Result.ReplaceLineEndings(" ").Trim()}");
    }
}
