using System.Diagnostics;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Up;

/// <summary>Keeps a number of worker processes running: it reports when one has died and starts another in its place.</summary>
sealed class WorkerFleet : IAsyncDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Ctrl-C reaches the workers and this process in any order. This process learns of it within this time.</summary>
    static readonly TimeSpan SignalSpread = TimeSpan.FromMilliseconds(500);

    readonly Uri _coordinator;
    readonly UpOptions _options;
    readonly long _memory;
    readonly TextWriter _log;
    readonly CancellationToken _stopping;
    readonly CancellationTokenSource _closing = new();

    /// <param name="stopping">Cancelled when the cluster is told to stop. Workers that end after that are not restarted.</param>
    public WorkerFleet(UpOptions options, Uri coordinator, TextWriter log, CancellationToken stopping)
    {
        (_options, _coordinator, _log, _stopping) = (options, coordinator, log, stopping);
        _memory = WorkerMemory.OfEach(options.Coordinator.Workers);
        AllGivenUp = Task.WhenAll(Enumerable.Range(1, options.Coordinator.Workers).Select(number => KeepAsync($"worker-{number}")));
    }

    /// <summary>Completes when no worker runs any more and none will be started again.</summary>
    public Task AllGivenUp { get; }

    /// <summary>Ends the workers that still run.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await AllGivenUp;
        _closing.Dispose();
    }

    async Task KeepAsync(string name)
    {
        var policy = new RestartPolicy();
        while (!_closing.IsCancellationRequested)
        {
            using var worker = WorkerProcess.Start(
                name, _coordinator, _options.ThreadsPerWorker, _memory, line => _log.WriteLine($"[{name}] {line}"), _options.PeerLink, trustDigest: _options.TrustDigest);
            var started = Stopwatch.GetTimestamp();
            var exit = worker.WaitForExitAsync();
            if (await Task.WhenAny(exit, IsCancelledWithinAsync(_closing.Token, Timeout.InfiniteTimeSpan)) != exit)
            {
                await worker.StopAsync(Patience);
                return;
            }
            var lived = Stopwatch.GetElapsedTime(started);
            if (await IsCancelledWithinAsync(_stopping, SignalSpread)) return;
            var pause = policy.NextPause(lived);
            _log.WriteLine($"{name} (process {worker.Id}) ended with exit code {await exit}; {Plan(pause, policy)}");
            if (pause is null || await IsCancelledWithinAsync(_stopping, pause.Value)) return;
        }
    }

    static string Plan(TimeSpan? pause, RestartPolicy policy) => pause is { } wait
        ? $"it is started again in {wait.TotalSeconds:0} s ({policy.Restarts} of {RestartPolicy.MostRestarts})"
        : $"it is not started again after {RestartPolicy.MostRestarts} times";

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
/// Decides when a worker that died is restarted. Each pause is twice as long as the last, because the cause may persist. After a few restarts there
/// are no more. A worker that lived for long starts again with the first pause.
/// </summary>
sealed class RestartPolicy
{
    public const int MostRestarts = 5;

    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    /// <summary>A worker that lived this long did not die because of how it was started.</summary>
    public static readonly TimeSpan LongLife = TimeSpan.FromMinutes(1);

    /// <summary>Restarts since it last lived long.</summary>
    public int Restarts { get; private set; }

    /// <returns>The pause before the next start; null: do not restart.</returns>
    public TimeSpan? NextPause(TimeSpan lived)
    {
        if (lived >= LongLife) Restarts = 0;
        return Restarts == MostRestarts ? null : FirstPause * (1 << Restarts++);
    }
}
