using LlamaCluster.Primitives;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Sessions;

/// <summary>A session that was made, or why not.</summary>
/// <param name="Session">Null if the client has as many sessions as it may.</param>
public sealed record CreateReply(SessionEntry? Session);

/// <summary>
/// All sessions of a cluster, by id. What it needs is started when it is first asked for something, and again after it has failed; nobody else waits for
/// that. Every method throws <see cref="StateStoreException"/> while sessions cannot be reached.
/// </summary>
public sealed partial class SessionDirectory : IAsyncDisposable, IDisposable
{
    /// <summary>After a failed start all calls fail for so long without another try.</summary>
    public static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);

    const int SweptAtATime = 100;

    readonly Lock _lock = new();
    readonly SessionsOptions _options;
    readonly StatePlace _place;
    readonly TimeProvider _time;
    readonly ILoggerFactory _loggers;
    readonly ILogger _logger;
    Task<SessionSilo>? _silo;
    string? _temporary;
    long _started;
    volatile bool _failing;

    public SessionDirectory(SessionsOptions options, StatePlace place, TimeProvider time, ILoggerFactory loggers)
    {
        (_options, _place, _time, _loggers) = (options, place, time, new SiloLogging(loggers));
        _logger = loggers.CreateLogger<SessionDirectory>();
    }

    /// <summary>Sessions that end with this process. In a folder of the system's for temporary files, which only this user can read.</summary>
    public static SessionDirectory Temporary(SessionsOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var folder = Path.Combine(Path.GetTempPath(), $"llamacluster-sessions-{Guid.NewGuid():N}");
        return new SessionDirectory(options, options.PlaceIn(folder), time, loggers) { _temporary = folder };
    }

    /// <summary>Whether there may be sessions that nobody has asked for since this process started.</summary>
    public bool MayHoldSessions => _place is not StatePlace.File { Path: var path } || File.Exists(path);

    /// <param name="first">What it begins as; its times are set here.</param>
    public async Task<CreateReply> CreateAsync(SessionState first, CancellationToken cancellation)
    {
        if (await IsFullAsync(first.Client, cancellation)) return new(null);
        var id = SessionNames.New();
        var made = Timed(first);
        await CallAsync(silo => GrainOf(silo, id).CreateAsync(made), cancellation);
        return new(made.ToEntry(id));
    }

    /// <param name="wait">How long to wait for another turn's end; zero: not at all.</param>
    /// <param name="fresh">What the session begins as if there is none; null: then there is no turn.</param>
    public async Task<BeginReply> BeginTurnAsync(string id, TimeSpan wait, SessionState? fresh, CancellationToken cancellation)
    {
        if (fresh is not null && await FindAsync(id, cancellation) is null && await IsFullAsync(fresh.Client, cancellation)) return new(BeginOutcome.TooManySessions);
        var asked = new BeginTurn(wait, fresh is null ? null : Timed(fresh));
        return await CallAsync(silo => GrainOf(silo, id).BeginTurnAsync(asked, cancellation), cancellation);
    }

    public Task<bool> RenewAsync(string id, SessionLease lease) => CallAsync(silo => GrainOf(silo, id).RenewAsync(lease), CancellationToken.None);

    /// <summary>When this returns <see cref="CommitOutcome.Committed"/>, the turn is stored.</summary>
    /// <param name="next">The session that the turn began with, with its new history.</param>
    public Task<CommitOutcome> CommitAsync(string id, SessionLease lease, SessionState next)
        => CallAsync(silo => GrainOf(silo, id).CommitAsync(lease, next), CancellationToken.None);

    public Task AbortAsync(string id, SessionLease lease) => CallAsync(async silo =>
    {
        await GrainOf(silo, id).AbortAsync(lease);
        return true;
    }, CancellationToken.None);

    /// <returns>Null if there is no such session.</returns>
    public Task<SessionEntry?> FindAsync(string id, CancellationToken cancellation) => CallAsync(silo => GrainOf(silo, id).DescribeAsync(), cancellation);

    /// <inheritdoc cref="FindAsync"/>
    public Task<SessionState?> ReadAsync(string id, CancellationToken cancellation) => CallAsync(silo => GrainOf(silo, id).ReadAsync(), cancellation);

    /// <returns>False if there was none.</returns>
    public Task<bool> DeleteAsync(string id, CancellationToken cancellation) => CallAsync(silo => GrainOf(silo, id).DeleteAsync(), cancellation);

    /// <returns>Null if there is no session <see cref="SessionQuery.After"/>.</returns>
    public Task<SessionPage?> ListAsync(SessionQuery query, CancellationToken cancellation) => CallAsync(silo => silo.Catalog.ListAsync(query), cancellation);

    /// <summary>Removes the sessions that have ended by their time to live.</summary>
    /// <returns>How many.</returns>
    public async Task<int> SweepAsync(CancellationToken cancellation)
    {
        var removed = 0;
        while (true)
        {
            var ended = await CallAsync(silo => silo.Catalog.ExpiredAsync(_time.GetUtcNow(), SweptAtATime), cancellation);
            var gone = 0;
            foreach (var id in ended)
                if (await CallAsync(silo => GrainOf(silo, id).ExpireAsync(), cancellation)) gone++;
            removed += gone;
            if (ended.Count < SweptAtATime || gone == 0) return removed;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<SessionSilo>? silo;
        lock (_lock) silo = _silo;
        if (silo is null) return;
        await ((Task)silo).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (silo.IsCompletedSuccessfully) await silo.Result.DisposeAsync();
        if (_temporary is not null && Directory.Exists(_temporary)) Directory.Delete(_temporary, recursive: true);
    }

    /// <summary>For owners that cannot wait.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    static ISessionGrain GrainOf(SessionSilo silo, string id) => silo.Grains.GetGrain<ISessionGrain>(SessionNames.KeyOf(id));

    SessionState Timed(SessionState first)
    {
        var now = _time.GetUtcNow();
        return first with { Created = first.Created == default ? now : first.Created, Updated = now, TimeToLive = first.TimeToLive ?? _options.TimeToLive };
    }

    async Task<bool> IsFullAsync(string client, CancellationToken cancellation)
        => await CallAsync(silo => silo.Catalog.CountAsync(client), cancellation) >= _options.MostPerClient;

    async Task<T> CallAsync<T>(Func<SessionSilo, Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            var result = await call(await SiloAsync().WaitAsync(cancellation)).WaitAsync(cancellation);
            if (_failing) LogRecovered(_place);
            _failing = false;
            return result;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            var problem = StoreProblems.Explain(e, _place);
            if (!_failing) LogFailing(problem.Message);
            _failing = true;
            throw problem;
        }
    }

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
        var silo = await SessionSilo.StartAsync(_place, _time, _loggers, deadline.Token);
        LogStarted(_place, (long)_time.GetElapsedTime(_started).TotalMilliseconds);
        return silo;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Sessions are kept in {Place} (started in {Milliseconds} ms)")]
    partial void LogStarted(StatePlace place, long milliseconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sessions fail, all else goes on: {Problem}")]
    partial void LogFailing(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sessions work again, in {Place}")]
    partial void LogRecovered(StatePlace place);
}
