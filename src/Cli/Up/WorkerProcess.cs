using System.Diagnostics;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Kernels;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// One worker process. It holds the read end of a pipe to this process as its stdin, and ends when that closes: however this process goes,
/// the system closes its end, so no worker outlives it.
/// </summary>
sealed class WorkerProcess : IDisposable
{
    readonly Process _process;

    WorkerProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>The most memory that it had at a time; what is known of it when it has ended is 0.</summary>
    public long PeakResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.HasExited ? 0 : _process.PeakWorkingSet64;
        }
    }

    /// <param name="memory">Bytes that it may use.</param>
    /// <param name="writeLine">Takes each line that the worker writes.</param>
    /// <param name="processors">The only ones that it may use; null: all.</param>
    /// <param name="profiles">The folder of its measurements; null: the usual one.</param>
    public static WorkerProcess Start(
        string name, Uri coordinator, int threads, long memory, Action<string> writeLine, PeerLinkPreference peerLink = PeerLinkPreference.Auto,
        IReadOnlyList<int>? processors = null, string? profiles = null)
    {
        var link = peerLink.ToString().ToLowerInvariant();
        var start = OwnProgram.With(
        [
            "worker", "--coordinator", coordinator.GetLeftPart(UriPartial.Authority), "--name", name, "--threads", $"{threads}", "--memory", $"{memory}",
            TensorOptions.PeerLinkName, link, .. profiles is null ? Array.Empty<string>() : [WorkerCommand.Profiles, profiles], WorkerCommand.ExitWhenInputCloses,
        ]);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        var process = new Process { StartInfo = start };
        DataReceivedEventHandler relay = (_, line) =>
        {
            if (line.Data is { } text) writeLine(text);
        };
        process.OutputDataReceived += relay;
        process.ErrorDataReceived += relay;
        if (processors is not null) Processors.RunOn(processors, () => process.Start());
        else process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new WorkerProcess(process);
    }

    /// <returns>Its exit code; 128 and the signal's number if it was killed.</returns>
    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    /// <summary>Lets it end by itself for so long, then ends it.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        _process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(patience);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }
    }

    public void Dispose() => _process.Dispose();
}
