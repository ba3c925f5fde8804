using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// A cluster of its own for the guard's model, in processes of its own, which `up` starts before its coordinator and ends with itself. If it dies it is started
/// again at the same address; what cannot be judged meanwhile is a matter of --filter-failure.
/// </summary>
sealed class GuardProcess : IAsyncDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    readonly UpOptions _options;
    readonly string _model;
    readonly TextWriter _log;
    readonly CancellationTokenSource _closing = new();
    readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Task _running;

    /// <param name="model">Path of the guard's model.</param>
    public GuardProcess(UpOptions options, string model, TextWriter log)
    {
        (_options, _model, _log) = (options, model, log);
        _running = KeepAsync();
    }

    /// <summary>Where it serves, once it does.</summary>
    /// <exception cref="CommandFailedException">It has ended before.</exception>
    public Task<Uri> ReadyAsync(CancellationToken cancellation) => _address.Task.WaitAsync(cancellation);

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _running;
        _closing.Dispose();
    }

    async Task KeepAsync()
    {
        var policy = new RestartPolicy(_options.RestartLimit);
        try
        {
            while (await RunAsync(policy) is { } pause) await Task.Delay(pause, _closing.Token);
        }
        catch (OperationCanceledException)
        {
            _address.TrySetCanceled();
        }
        catch (CommandFailedException failure)
        {
            _address.TrySetException(failure);
        }
    }

    /// <returns>The pause before it is started again; null if it is not.</returns>
    async Task<TimeSpan?> RunAsync(RestartPolicy policy)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var guard = WorkerProcess.Start(Arguments(), Take);
        var exit = guard.WaitForExitAsync();
        await using var closing = _closing.Token.Register(() => _ = guard.StopAsync(Patience));
        var code = await exit;
        if (_closing.IsCancellationRequested) return null;
        var end = $"the guard (process {guard.Id}) ended with exit code {code}; its last line was: {guard.LastLine}";
        if (_address.TrySetException(new CommandFailedException(end))) return null;
        if (policy.NextPause(TimeProvider.System.GetElapsedTime(begun)) is not { } pause)
        {
            _log.WriteLine($"{end}; {policy.Complaint}, and it is not started again");
            return null;
        }
        _log.WriteLine($"{end}; it is started again in {pause.TotalSeconds:0} s");
        return pause;
    }

    IEnumerable<string> Arguments() =>
    [
        "up", "--model", _model, "--workers", "1", "--threads-per-worker", $"{_options.ThreadsPerWorker}",
        "--port", _address.Task.IsCompletedSuccessfully ? $"{_address.Task.Result.Port}" : "0", WorkerCommand.ExitWhenInputCloses,
    ];

    /// <summary>The line that says where it is, and all others, which are shown.</summary>
    void Take(string line)
    {
        if (line.Split(' ') is ["ready", var address, ..] && Uri.TryCreate(address, UriKind.Absolute, out var found)) _address.TrySetResult(found);
        _log.WriteLine($"[guard] {line}");
    }
}
