using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.Placement;
using Orleans.Storage;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Grains;

/// <summary>What all session grains share.</summary>
/// <param name="Time">Sessions' own clock; the silo has another.</param>
sealed record SessionRules(TimeProvider Time)
{
    /// <summary>Name of the storage provider and of the state in it.</summary>
    public const string Store = "sessions";

    /// <summary>A lease that was not renewed for so long belongs to nobody: whoever held it is dead.</summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(30);

    /// <summary>Turns that may wait for one session.</summary>
    public const int MostWaiting = 16;
}

/// <inheritdoc cref="ISessionGrain"/>
/// <remarks>
/// <see cref="TurnLine"/> sees to it that one turn runs at a time. Even if that failed, of two turns that believe to hold the session one could not commit:
/// what is stored names its epoch and has an ETag. A state is set in memory only for as long as it is written, and taken back if that fails.
/// </remarks>
[PreferLocalPlacement]
sealed partial class SessionGrain(
    [PersistentState(SessionRules.Store, SessionRules.Store)] IPersistentState<SessionState> stored,
    ISessionCatalog catalog,
    SessionRules rules,
    LeaseHolders holders,
    IServiceProvider services,
    ILogger<SessionGrain> logger)
    : Grain, ISessionGrain
{
    TurnLine _turns = null!;   // set when the grain is activated

    string Id => SessionNames.IdOf(this.GetPrimaryKeyString());

    DateTimeOffset Now => rules.Time.GetUtcNow();

    SessionState? State => stored.RecordExists && !stored.State.HasExpired(Now) ? stored.State : null;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _turns = new TurnLine(Id, services.GetService<ITurnLeases>(), holders, rules.Time);
        return _turns.LoadAsync();
    }

    public async Task<CreateOutcome> CreateAsync(SessionState first)
    {
        if (State is not null) return CreateOutcome.Exists;
        await WriteAsync(first);
        return CreateOutcome.Created;
    }

    public async Task<BeginReply> BeginTurnAsync(BeginTurn asked, CancellationToken cancellation)
    {
        var (outcome, lease) = await _turns.TakeAsync(() => (State ?? asked.Fresh) is null ? null : State?.Epoch ?? 0, asked, cancellation);
        return lease is null ? new(outcome) : new(outcome) { Lease = lease, State = State ?? asked.Fresh };
    }

    public Task<bool> RenewAsync(SessionLease lease) => _turns.RenewAsync(lease);

    public async Task<CommitOutcome> CommitAsync(SessionLease lease, SessionState next)
    {
        if (stored.RecordExists && stored.State.LastTurn == lease.Id)
        {
            await AbortAsync(lease);   // the silo that was asked first died before it gave the lease back, or before it could say so
            return CommitOutcome.Committed;
        }
        // An activation that has died may have given the lease. Then nobody holds one here, and the epoch says whether the session has changed since.
        var isHolder = _turns.IsOf(lease);
        if (!isHolder && (_turns.IsTaken || State is null)) return CommitOutcome.LeaseLost;
        try
        {
            // A turn is use: who holds the lease began before the session's time was over.
            if ((isHolder && stored.RecordExists ? stored.State.Epoch : State?.Epoch ?? 0) != lease.Epoch) return CommitOutcome.LeaseLost;
            await WriteAsync(next with { Updated = Now, Epoch = lease.Epoch + 1, TurnsTaken = next.TurnsTaken + 1, LastTurn = lease.Id });
            return CommitOutcome.Committed;
        }
        catch (InconsistentStateException)
        {
            return CommitOutcome.LeaseLost;
        }
        finally
        {
            if (isHolder || !_turns.IsTaken) await ReleaseAsync();
        }
    }

    public Task AbortAsync(SessionLease lease) => _turns.IsOf(lease) ? ReleaseAsync() : Task.CompletedTask;

    public Task<SessionState?> ReadAsync() => Task.FromResult(State);

    public Task<SessionEntry?> DescribeAsync() => Task.FromResult(State?.ToEntry(Id));

    public async Task<bool> DeleteAsync()
    {
        var existed = State is not null;
        await RemoveAsync();
        return existed;
    }

    public async Task<bool> ExpireAsync()
    {
        if (State is { } alive)
        {
            await catalog.PutAsync(alive.ToEntry(Id));   // its entry was older than it
            return false;
        }
        if (_turns.IsHeld) return false;   // its first turn runs
        await RemoveAsync();
        return true;
    }

    /// <summary>An entry of the catalog comes before the first state and after all others; see <see cref="ISessionCatalog"/>.</summary>
    async Task WriteAsync(SessionState next)
    {
        if (!stored.RecordExists) await catalog.PutAsync(next.ToEntry(Id));
        var (before, existed) = (stored.State, stored.RecordExists);
        stored.State = next;
        try
        {
            await stored.WriteStateAsync();
        }
        catch
        {
            stored.State = before;
            DeactivateOnIdle();   // who comes next reads what is stored: a write that timed out may have been made
            throw;
        }
        if (existed) await ListAsync(next);
    }

    /// <summary>The state is stored, whether its entry can be or not; the next turn or the sweep after its end put that right.</summary>
    async Task ListAsync(SessionState state)
    {
        try
        {
            await catalog.PutAsync(state.ToEntry(Id));
        }
        catch (Exception e) when (e is StateStoreException or RedisException or TimeoutException)
        {
            LogStale(Id, e.Message);
        }
    }

    async Task RemoveAsync()
    {
        if (stored.RecordExists) await stored.ClearStateAsync();
        await catalog.RemoveAsync(Id);
        await ReleaseAsync();
    }

    /// <summary>What the turn did is done. A lease that could not be given back ends by itself.</summary>
    async Task ReleaseAsync()
    {
        try
        {
            await _turns.ReleaseAsync();
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            LogNotReleased(Id, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The turn of session {Id} has ended, but the next one may have to wait: {Problem}")]
    partial void LogNotReleased(string id, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {Id} is stored, but lists show it as it was before: {Problem}")]
    partial void LogStale(string id, string problem);
}
