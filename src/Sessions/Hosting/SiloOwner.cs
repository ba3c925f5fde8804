using System.Net;
using LlamaCluster.Primitives;
using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>
/// Owns the silo of this process. It is started when something is first asked of it, and nobody else waits for that. Calls of grains go through here: a
/// call that meets a silo which has just died is made again, until the others have noticed.
/// </summary>
public sealed partial class SiloOwner : IAsyncDisposable, IDisposable
{
    /// <summary>After a failed start all calls fail for so long without another try.</summary>
    public static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    /// <summary>How long a call is made again while the silo of its grain is dead and not yet known to be.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(8);

    static readonly TimeSpan CallPause = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);

    readonly Lock _lock = new();
    readonly TimeProvider _time;
    readonly ILoggerFactory _loggers;
    readonly ILogger _logger;
    readonly TaskCompletionSource _evicted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    Task<SessionSilo>? _silo;
    long _started;

    public SiloOwner(StatePlace place, TimeProvider time, ILoggerFactory loggers)
    {
        (Place, _time, _loggers) = (place, time, new SiloLogging(loggers));
        _logger = loggers.CreateLogger<SiloOwner>();
    }

    public StatePlace Place { get; }

    /// <summary>Finds out where silos of other machines reach this one. Null, the default: only those of this machine do.</summary>
    public Func<CancellationToken, Task<IPAddress>>? Address { get; init; }

    /// <summary>For what silos say to each other. Null, the default: it is neither hidden nor proved.</summary>
    public SiloTls? Tls { get; init; }

    /// <summary>Port of this machine where Orleans' own dashboard is. Null, the default: nowhere.</summary>
    public int? Dashboard { get; init; }

    /// <summary>Completes when the other silos have taken this one for dead. It never does where there are no others.</summary>
    public Task Evicted => _evicted.Task;

    /// <exception cref="StateStoreException">The silo or its store cannot be used now.</exception>
    internal async Task<T> CallAsync<T>(Func<SessionSilo, Task<T>> call, CancellationToken cancellation)
    {
        var since = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await call(await SiloAsync().WaitAsync(cancellation)).WaitAsync(cancellation);
            }
            catch (Exception e) when (StoreProblems.IsOfDeadSilo(e) && Place is StatePlace.Redis && _time.GetElapsedTime(since) < Patience)
            {
                await Task.Delay(CallPause, _time, cancellation);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                throw StoreProblems.Explain(e, Place);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<SessionSilo>? silo;
        lock (_lock) silo = _silo;
        if (silo is null) return;
        await ((Task)silo).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (silo.IsCompletedSuccessfully) await silo.Result.DisposeAsync();
    }

    /// <summary>For owners that cannot wait.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    Task<SessionSilo> SiloAsync()
    {
        lock (_lock)
        {
            var isUsable = _silo is { IsCompleted: false } or { IsCompletedSuccessfully: true, Result.HasFailed: false };
            if (isUsable || (_silo is { IsFaulted: true } && _time.GetElapsedTime(_started) < RetryPause)) return _silo!;
            _started = _time.GetTimestamp();
            return _silo = StartAsync(_silo is { IsCompletedSuccessfully: true } ? _silo.Result : null);
        }
    }

    async Task<SessionSilo> StartAsync(SessionSilo? failed)
    {
        await Task.Yield();   // out of the lock
        if (failed is not null) await failed.DisposeAsync();
        using var deadline = new CancellationTokenSource(StartDeadline, _time);
        var address = Address is null ? IPAddress.Loopback : await Address(deadline.Token);
        var silo = await SessionSilo.StartAsync(new SiloSettings(Place, address, Tls, Dashboard, OnFailed), _time, _loggers, deadline.Token);
        LogStarted(Place, (long)_time.GetElapsedTime(_started).TotalMilliseconds);
        if (silo.DashboardAddress is { } dashboard) LogDashboard(dashboard);
        return silo;
    }

    void OnFailed()
    {
        if (Place is StatePlace.Redis) _evicted.TrySetResult();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Orleans' dashboard is at {Address}")]
    partial void LogDashboard(Uri address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sessions are kept in {Place} (started in {Milliseconds} ms)")]
    partial void LogStarted(StatePlace place, long milliseconds);
}
