using LlamaCluster.Sessions.Storage;
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
/// The lease is in memory only. It need not survive this activation: what is stored names its epoch and has an ETag, so that of two turns that believe to
/// hold the session one cannot commit. A state is set in memory only for as long as it is written, and taken back if that fails.
/// </remarks>
[PreferLocalPlacement]
sealed partial class SessionGrain(
    [PersistentState(SessionRules.Store, SessionRules.Store)] IPersistentState<SessionState> stored,
    ISessionCatalog catalog,
    SessionRules rules,
    ILogger<SessionGrain> logger)
    : Grain, ISessionGrain
{
    // Turns that wait, the first to ask first. Each is woken when it may be its turn.
    readonly LinkedList<TaskCompletionSource> _waiting = [];
    SessionLease? _lease;
    DateTimeOffset _leaseEnds;

    string Id => SessionNames.IdOf(this.GetPrimaryKeyString());

    DateTimeOffset Now => rules.Time.GetUtcNow();

    SessionState? State => stored.RecordExists && !stored.State.HasExpired(Now) ? stored.State : null;

    bool IsHeld => _lease is not null && Now < _leaseEnds;

    public async Task<CreateOutcome> CreateAsync(SessionState first)
    {
        if (State is not null) return CreateOutcome.Exists;
        await WriteAsync(first);
        return CreateOutcome.Created;
    }

    public async Task<BeginReply> BeginTurnAsync(BeginTurn asked, CancellationToken cancellation)
    {
        if (!IsHeld && _waiting.Count == 0) return Begin(asked);
        if (asked.Wait <= TimeSpan.Zero) return new(BeginOutcome.Busy);
        if (_waiting.Count >= SessionRules.MostWaiting) return new(BeginOutcome.TooManyWait);
        var until = Now + asked.Wait;
        var place = _waiting.AddLast(NewSignal());
        try
        {
            while (IsHeld || _waiting.First != place)
            {
                if (Now >= until) return new(BeginOutcome.Busy);
                var end = IsHeld && _leaseEnds < until ? _leaseEnds : until;
                await place.Value.Task.WaitAsync(end - Now, rules.Time, cancellation)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                cancellation.ThrowIfCancellationRequested();
                place.Value = NewSignal();
            }
            return Begin(asked);   // before the place in the line is given up, so that nobody comes between
        }
        finally
        {
            _waiting.Remove(place);
            if (!IsHeld) WakeFirst();
        }
    }

    public Task<bool> RenewAsync(SessionLease lease)
    {
        var held = lease == _lease;
        if (held) _leaseEnds = Now + SessionRules.LeaseTime;
        return Task.FromResult(held);
    }

    public async Task<CommitOutcome> CommitAsync(SessionLease lease, SessionState next)
    {
        // An activation that has died may have given the lease. Then nobody holds one here, and the epoch says whether the session has changed since.
        var isHolder = lease == _lease;
        if (!isHolder && (_lease is not null || State is null)) return CommitOutcome.LeaseLost;
        try
        {
            // A turn is use: who holds the lease began before the session's time was over.
            if ((isHolder && stored.RecordExists ? stored.State.Epoch : State?.Epoch ?? 0) != lease.Epoch) return CommitOutcome.LeaseLost;
            await WriteAsync(next with { Updated = Now, Epoch = lease.Epoch + 1, TurnsTaken = next.TurnsTaken + 1 });
            return CommitOutcome.Committed;
        }
        catch (InconsistentStateException)
        {
            return CommitOutcome.LeaseLost;
        }
        finally
        {
            if (isHolder || _lease is null) Release();
        }
    }

    public Task AbortAsync(SessionLease lease)
    {
        if (lease == _lease) Release();
        return Task.CompletedTask;
    }

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
        if (IsHeld) return false;   // its first turn runs
        await RemoveAsync();
        return true;
    }

    BeginReply Begin(BeginTurn asked)
    {
        if ((State ?? asked.Fresh) is not { } state) return new(BeginOutcome.NotFound);
        (_lease, _leaseEnds) = (new SessionLease(Guid.NewGuid(), State?.Epoch ?? 0), Now + SessionRules.LeaseTime);
        return new(BeginOutcome.Begun) { Lease = _lease, State = state };
    }

    void Release()
    {
        _lease = null;
        WakeFirst();
    }

    void WakeFirst() => _waiting.First?.Value.TrySetResult();

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
        Release();
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Session {Id} is stored, but lists show it as it was before: {Problem}")]
    partial void LogStale(string id, string problem);
}
