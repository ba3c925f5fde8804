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
    const int SweptAtATime = 100;

    readonly SessionsOptions _options;
    readonly SiloOwner _silo;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    TemporaryState? _temporary;
    volatile bool _failing;

    /// <param name="silo">Belongs to the directory from now on.</param>
    public SessionDirectory(SessionsOptions options, SiloOwner silo, TimeProvider time, ILoggerFactory loggers)
        => (_options, _silo, _time, _logger) = (options, silo, time, loggers.CreateLogger<SessionDirectory>());

    public SessionDirectory(SessionsOptions options, StatePlace place, TimeProvider time, ILoggerFactory loggers)
        : this(options, new SiloOwner(place, time, loggers) { Dashboard = options.OrleansDashboard }, time, loggers)
    {
    }

    /// <summary>Sessions that end with this process.</summary>
    public static SessionDirectory Temporary(SessionsOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var temporary = new TemporaryState();
        return new SessionDirectory(options, temporary.Place, time, loggers) { _temporary = temporary };
    }

    internal StatePlace Place => _silo.Place;

    /// <summary>Whether there may be sessions that nobody has asked for since this process started.</summary>
    public bool MayHoldSessions => Place is not StatePlace.File { Path: var path } || File.Exists(path);

    /// <summary>Starts what is needed, which otherwise the first one who asks does.</summary>
    public Task StartAsync(CancellationToken cancellation) => CallAsync(_ => Task.FromResult(true), cancellation);

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
        if (fresh is not null && await FindAsync(id, cancellation) is null && await IsFullAsync(fresh.Client, cancellation))
            return new(BeginOutcome.TooManySessions);
        var asked = new BeginTurn(wait, fresh is null ? null : Timed(fresh));
        try
        {
            return await CallAsync(silo => GrainOf(silo, id).BeginTurnAsync(asked with { Holder = silo.Name }, cancellation), cancellation);
        }
        catch (OperationCanceledException)
        {
            await AbortAsync(id, new SessionLease(asked.Request, 0));   // it may have begun just then
            throw;
        }
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
        await _silo.DisposeAsync();
        _temporary?.Dispose();
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
            var result = await _silo.CallAsync(call, cancellation);
            if (_failing) LogRecovered(_silo.Place);
            _failing = false;
            return result;
        }
        catch (StateStoreException problem)
        {
            if (!_failing) LogFailing(problem.Message);
            _failing = true;
            throw;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sessions fail, all else goes on: {Problem}")]
    partial void LogFailing(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sessions work again, in {Place}")]
    partial void LogRecovered(StatePlace place);
}
