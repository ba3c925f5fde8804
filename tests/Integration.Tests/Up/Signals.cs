using System.Diagnostics;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>Other processes, by their ids: children of one that a test started.</summary>
static class Signals
{
    public static async Task SendAsync(string signal, int process)
    {
        using var kill = Process.Start("kill", ["-s", signal, $"{process}"]);
        await kill.WaitForExitAsync().WaitAsync(CliProcess.Deadline);
        Assert.Equal(0, kill.ExitCode);
    }

    public static IReadOnlyList<Process> ChildrenOf(int process)
        => [.. File.ReadAllText($"/proc/{process}/task/{process}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => Process.GetProcessById(int.Parse(id)))];

    public static async Task AssertGoneAsync(Process process)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        await process.WaitForExitAsync(deadline.Token);
    }
}
