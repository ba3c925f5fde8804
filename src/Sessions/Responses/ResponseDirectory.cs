using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Responses;

/// <summary>
/// All responses that are kept, by id, where the sessions are kept: a file, or a Redis that several coordinators share. The store is opened when it is first
/// asked for something, and no silo is needed for it. Every method throws <see cref="StateStoreException"/> while it cannot be reached.
/// </summary>
/// <param name="place">Null: in a folder for temporary files, until this process ends.</param>
public sealed partial class ResponseDirectory(SessionsOptions options, StatePlace? place, TimeProvider time, ILogger<ResponseDirectory> logger)
    : IAsyncDisposable, IDisposable
{
    readonly Lock _lock = new();
    readonly TemporaryState? _temporary = place is null ? new() : null;
    Task<IResponseStore>? _store;
    volatile bool _failing;

    /// <summary>How much of one owner's is kept.</summary>
    public ResponseLimits Limits { get; init; } = new(10_000, 64L << 20);

    StatePlace Place => place ?? _temporary!.Place;

    /// <returns>False if it is larger than all that is kept of one owner's.</returns>
    public Task<bool> TryPutAsync(ResponseState response, CancellationToken cancellation)
    {
        var size = 2L * (response.Response.Length + response.Input.Length + response.History.Messages.Sum(message => message.Length));
        return size > Limits.Bytes ? Task.FromResult(false) : CallAsync(async store =>
        {
            await store.PutAsync(response, response.Created + options.TimeToLive, Limits);
            return true;
        }, cancellation);
    }

    /// <returns>Null if there is none.</returns>
    public Task<ResponseState?> FindAsync(string id, CancellationToken cancellation) => CallAsync(store => store.FindAsync(id, time.GetUtcNow()), cancellation);

    public Task DeleteAsync(ResponseState response, CancellationToken cancellation) => CallAsync(async store =>
    {
        await store.DeleteAsync(response);
        return true;
    }, cancellation);

    /// <summary>Removes responses whose time is over, if there may be any.</summary>
    public async Task SweepAsync(CancellationToken cancellation)
    {
        if (Place is StatePlace.File { Path: var path } && !File.Exists(path)) return;
        await CallAsync(async store =>
        {
            await store.SweepAsync(time.GetUtcNow());
            return true;
        }, cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        Task<IResponseStore>? store;
        lock (_lock) store = _store;
        if (store is not null)
        {
            await ((Task)store).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (store.IsCompletedSuccessfully) await store.Result.DisposeAsync();
        }
        _temporary?.Dispose();
    }

    /// <summary>For owners that cannot wait.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    async Task<T> CallAsync<T>(Func<IResponseStore, Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            var store = await StoreAsync().WaitAsync(cancellation);
            var result = await call(store).WaitAsync(cancellation);
            if (_failing) LogRecovered(Place);
            _failing = false;
            return result;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            var problem = StoreProblems.Explain(e, Place);
            if (!_failing) LogFailing(problem.Message);
            _failing = true;
            throw problem;
        }
    }

    /// <summary>A store that could not be opened is tried again.</summary>
    Task<IResponseStore> StoreAsync()
    {
        lock (_lock) return _store is null or { IsFaulted: true } ? _store = OpenAsync() : _store;
    }

    async Task<IResponseStore> OpenAsync()
    {
        await Task.Yield();   // out of the lock
        return Place switch
        {
            StatePlace.File file => new SqliteResponseStore(SqliteStateFile.Open(file.Path)),
            StatePlace.Redis redis => new RedisResponseStore(await ConnectionMultiplexer.ConnectAsync(redis.Options)),
            _ => throw new InvalidOperationException($"no store is known for {Place}"),
        };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Responses are not kept, and those that were cannot be found: {Problem}")]
    partial void LogFailing(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Responses are kept again, in {Place}")]
    partial void LogRecovered(StatePlace place);
}
