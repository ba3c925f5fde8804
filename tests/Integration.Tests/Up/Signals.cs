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

    /// <summary>Linux keeps them by the thread that started them.</summary>
    public static IReadOnlyList<Process> ChildrenOf(int process) =>
    [
        .. Directory.GetDirectories($"/proc/{process}/task").SelectMany(ChildrenOfThread).Order().Select(Process.GetProcessById),
    ];

    static IEnumerable<int> ChildrenOfThread(string thread)
    {
        try
        {
            return File.ReadAllText($"{thread}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse);
        }
        catch (IOException)
        {
            return [];   // the thread has ended meanwhile
        }
    }

    public static async Task AssertGoneAsync(Process process)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        await process.WaitForExitAsync(deadline.Token);
    }
}
