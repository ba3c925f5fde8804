using System.Diagnostics;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Worker;
using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// Keeps a number of worker processes running: it reports when one has died and starts another in its place. One that dies again and again is given up;
/// the others serve on, as long as there are enough.
/// </summary>
sealed class WorkerFleet : IAsyncDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Ctrl-C reaches the workers and this process in any order. This process learns of it within this time.</summary>
    static readonly TimeSpan SignalSpread = TimeSpan.FromMilliseconds(500);

    readonly Uri _coordinator;
    readonly UpOptions _options;
    readonly IReadOnlyList<string> _names;
    readonly int _threads;
    readonly int _fewest;
    readonly Task<long> _memory;
    readonly TextWriter _log;
    readonly CancellationToken _stopping;
    readonly CancellationTokenSource _closing = new();
    readonly TaskCompletionSource<string> _givenUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Task _all;

    WorkerFleet(
        UpOptions options, Uri coordinator, IReadOnlyList<string> names, int threads, Task<long> memory, int fewest, TextWriter log, CancellationToken stopping)
    {
        (_options, _coordinator, _names, _threads, _fewest, _log, _stopping) = (options, coordinator, names, threads, fewest, log, stopping);
        _memory = memory;
        Left = new Latest<int>(names.Count);
        _all = Task.WhenAll(names.Select(KeepAsync));
    }

    /// <summary>The workers of the model that is served.</summary>
    /// <param name="stopping">Cancelled when the cluster is told to stop. Workers that end after that are not restarted.</param>
    /// <param name="memory">Bytes for each; they start when it is known.</param>
    public static WorkerFleet Serving(UpOptions options, Uri coordinator, Task<long> memory, TextWriter log, CancellationToken stopping)
    {
        string[] names = [.. Enumerable.Range(1, options.Coordinator.Workers).Select(number => $"worker-{number}")];
        if (options.KvDisk is { } disk)
            foreach (var removed in KvFolders.RemoveOthers(disk.Folder, names.ToHashSet()))
                log.WriteLine($"{KvDiskOptions.FolderName}: {removed} is removed; none of these {names.Length} workers keeps KV blocks there");
        return new WorkerFleet(options, coordinator, names, options.ThreadsPerWorker, memory, options.Coordinator.MinWorkers, log, stopping);
    }

    /// <summary>The draft model's worker. It keeps nothing on disk, and nobody gives up because of it.</summary>
    /// <param name="stopping">See <see cref="Serving"/>.</param>
    public static WorkerFleet Drafting(UpOptions options, Uri coordinator, Task<long> memory, TextWriter log, CancellationToken stopping) => new(
        options with { KvDisk = null, Journal = null }, coordinator, ["draft-worker"], options.DraftThreads ?? options.ThreadsPerWorker, memory, fewest: 0, log,
        stopping);

    /// <summary>Workers that run or will be started again.</summary>
    public Latest<int> Left { get; }

    /// <summary>Completes when a worker will not be started again, with the reason in one line, and fewer are left than the cluster is to serve with.</summary>
    public Task<string> GivenUp => _givenUp.Task;

    /// <summary>Ends the workers that still run.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _all;
        _closing.Dispose();
    }

    async Task KeepAsync(string name)
    {
        try
        {
            if (await RunAsync(name) is { } reason) GiveUp(reason);
        }
        catch (Exception failure)
        {
            _givenUp.TrySetException(failure);   // it could not be started at all
        }
    }

    void GiveUp(string reason)
    {
        var left = Left.Update(before => before - 1);
        if (_fewest == 0) _log.WriteLine($"{reason}; it is not started again, and there are no drafts from now on");
        else if (left == 0) _givenUp.TrySetResult(reason);
        else if (left < _fewest) _givenUp.TrySetResult($"{reason}; {left} of {_names.Count} workers are left, and --min-workers is {_fewest}");
        else _log.WriteLine($"{reason}; it is not started again, and {left} of {_names.Count} workers serve on");
    }

    /// <returns>Why it is not started again; null if the cluster is stopping.</returns>
    async Task<string?> RunAsync(string name)
    {
        if (await Task.WhenAny(_memory, IsCancelledWithinAsync(_closing.Token, Timeout.InfiniteTimeSpan)) != _memory) return null;
        var policy = new RestartPolicy(_options.RestartLimit);
        while (!_closing.IsCancellationRequested)
        {
            using var worker = WorkerProcess.Start(
                name, _coordinator, _threads, await _memory, line => _log.WriteLine($"[{name}] {line}"), _options.PeerLink,
                trustDigest: _options.TrustDigest, kvDisk: _options.KvDisk?.Of(name, _names.Count),
                journal: _options.Journal?.Of(_names.Count));
            var started = Stopwatch.GetTimestamp();
            var exit = worker.WaitForExitAsync();
            if (await Task.WhenAny(exit, IsCancelledWithinAsync(_closing.Token, Timeout.InfiniteTimeSpan)) != exit)
            {
                await worker.StopAsync(Patience);
                return null;
            }
            var lived = Stopwatch.GetElapsedTime(started);
            if (await IsCancelledWithinAsync(_stopping, SignalSpread)) return null;
            var end = $"{name} (process {worker.Id}) ended with exit code {await exit}";
            if (policy.NextPause(lived) is not { } pause) return $"{end}: {policy.Complaint}; its last line was: {worker.LastLine}";
            _log.WriteLine($"{end}; it is started again in {pause.TotalSeconds:0} s ({policy.Restarts} of {_options.RestartLimit})");
            if (await IsCancelledWithinAsync(_stopping, pause)) return null;
        }
        return null;
    }

    static async Task<bool> IsCancelledWithinAsync(CancellationToken token, TimeSpan time)
    {
        try
        {
            await Task.Delay(time, token);
            return false;
        }
        catch (OperationCanceledException)
        {
            return true;
        }
    }
}

/// <summary>
/// Decides when a worker that died is restarted. Each pause is twice as long as the last, up to a minute, because the cause may persist. After
/// <paramref name="limit"/> restarts there are no more. A worker that lived for long starts again with the first pause.
/// </summary>
sealed class RestartPolicy(int limit)
{
    /// <summary>With this many the last pause begins about five minutes after the first death.</summary>
    public const int UsualLimit = 10;

    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>A worker that lived this long did not die because of how it was started.</summary>
    public static readonly TimeSpan LongLife = TimeSpan.FromMinutes(1);

    /// <summary>Restarts since it last lived long.</summary>
    public int Restarts { get; private set; }

    /// <summary>Why there is no restart, once there is none.</summary>
    public string Complaint => limit == 0 ? "--restart-limit is 0" : $"it died soon after its start {limit + 1} times in a row (--restart-limit is {limit})";

    /// <returns>The pause before the next start; null: do not restart.</returns>
    public TimeSpan? NextPause(TimeSpan lived)
    {
        if (lived >= LongLife) Restarts = 0;
        if (Restarts == limit) return null;
        var pause = FirstPause * (1 << Math.Min(Restarts++, 10));
        return pause < LongestPause ? pause : LongestPause;
    }
}
