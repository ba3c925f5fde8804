using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Kernels;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// One worker process, or a guard's. Its stdin is a pipe from this process, and it ends when that pipe closes. The system closes the pipe however this process
/// ends, so none outlives it. On Linux the system also ends a worker that is frozen.
/// </summary>
sealed class WorkerProcess : IDisposable
{
    readonly Process _process;
    readonly ManualResetEventSlim _over = new();

    WorkerProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>What it wrote last; "" if nothing.</summary>
    public string LastLine { get; private set; } = "";

    /// <summary>The peak memory of the process; 0 after it has ended.</summary>
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
    /// <param name="processors">The processors that it may use; null: all.</param>
    /// <param name="trustDigest">See <see cref="WorkerOptions.TrustDigest"/>.</param>
    /// <param name="profiles">The folder of its measurements; null: the default folder.</param>
    /// <param name="kvDisk">Where it keeps KV blocks; null: nowhere.</param>
    /// <param name="journal">Where it keeps what it sends on; null: nowhere.</param>
    /// <exception cref="CommandFailedException">The system does not start it.</exception>
    public static WorkerProcess Start(
        string name, Uri coordinator, int threads, long memory, Action<string> writeLine, PeerLinkPreference peerLink = PeerLinkPreference.Auto,
        IReadOnlyList<int>? processors = null, string? profiles = null,
        bool trustDigest = false, KvDiskPlace? kvDisk = null, ActivationJournalPlace? journal = null)
    {
        var link = peerLink.ToString().ToLowerInvariant();
        return Start(
        [
            "worker", "--coordinator", coordinator.GetLeftPart(UriPartial.Authority), "--name", name, "--threads", $"{threads}", "--memory", $"{memory}",
            TensorOptions.PeerLinkName, link, .. profiles is null ? Array.Empty<string>() : [WorkerCommand.Profiles, profiles],
            .. trustDigest ? [WorkerCommand.TrustDigest] : Array.Empty<string>(),
            .. kvDisk is null ? Array.Empty<string>() : [KvDiskOptions.FolderName, kvDisk.Folder, KvDiskOptions.SizeName, $"{kvDisk.Bytes}"],
            .. journal?.ToArguments() ?? [], WorkerCommand.ExitWhenInputCloses, WorkerCommand.ExitWithParentThread,
        ], writeLine, processors);
    }

    /// <summary>Starts this program once more.</summary>
    /// <param name="arguments">Among them that it is to end when its stdin does.</param>
    /// <exception cref="CommandFailedException">The system does not start it.</exception>
    public static WorkerProcess Start(IEnumerable<string> arguments, Action<string> writeLine, IReadOnlyList<int>? processors = null)
    {
        var start = OwnProgram.With(arguments);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        var process = new Process { StartInfo = start };
        var worker = new WorkerProcess(process);
        DataReceivedEventHandler relay = (_, line) =>
        {
            if (line.Data is not { } text) return;
            worker.LastLine = text;
            writeLine(text);
        };
        process.OutputDataReceived += relay;
        process.ErrorDataReceived += relay;
        worker.Launch(processors);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return worker;
    }

    /// <returns>Its exit code; 128 and the signal's number if it was killed.</returns>
    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    /// <summary>Asks the process to end, waits for <paramref name="patience"/>, and then kills it.</summary>
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

    public void Dispose()
    {
        _over.Set();
        _process.Dispose();
    }

    /// <summary>Starts the process on a thread that lives as long as it: to Linux the thread that starts a process is its parent.</summary>
    void Launch(IReadOnlyList<int>? processors)
    {
        var started = new TaskCompletionSource();
        void StartAndStay()
        {
            _process.Start();
            started.SetResult();
            _over.Wait();
        }
        new Thread(() =>
        {
            try
            {
                if (processors is null) StartAndStay();
                else Processors.RunOn(processors, StartAndStay);
            }
            catch (Exception failure)
            {
                started.TrySetException(failure);
            }
        })
        { IsBackground = true, Name = "parent of a worker" }.Start();
        try
        {
            started.Task.GetAwaiter().GetResult();
        }
        catch (Win32Exception failure)
        {
            throw new CommandFailedException($"the system does not start a worker process, {_process.StartInfo.FileName}: {failure.Message}");
        }
    }
}

/// <summary>Describes how to start this program once more: its own executable, or the dotnet host with its assembly.</summary>
static class OwnProgram
{
    public static ProcessStartInfo With(IEnumerable<string> arguments)
    {
        var path = Environment.ProcessPath ?? throw new CommandFailedException("the system does not say where this program is, so no worker can be started");
        var hosted = Path.GetFileNameWithoutExtension(path) == "dotnet";
        return new ProcessStartInfo(path, hosted ? [Assembly.GetExecutingAssembly().Location, .. arguments] : arguments) { UseShellExecute = false };
    }
}
