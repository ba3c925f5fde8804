using System.Globalization;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions.Grains;

/// <summary>
/// Who has the turn of one session, and who waits for it, in the order of asking. Part of the session's grain, and used by it only.
/// <para>
/// With one silo a lease is in memory, as the turn is. With several, the silo of the grain may die while the turn lives on another one: then leases are also
/// kept outside (<see cref="ITurnLeases"/>), so that the grain's next activation does not give a second one. A lease whose holder's silo is dead is over.
/// </para>
/// </summary>
/// <param name="shared">Null with one silo.</param>
sealed class TurnLine(string session, ITurnLeases? shared, LeaseHolders holders, TimeProvider time)
{
    /// <summary>How often those who wait look whether the holder's silo has died.</summary>
    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    // Turns that wait, the first to ask first. Each is woken when it may be its turn.
    readonly LinkedList<TaskCompletionSource> _waiting = [];
    SessionLease? _lease;
    SessionLease? _over;   // given back, but maybe not outside
    DateTimeOffset _ends;

    DateTimeOffset Now => time.GetUtcNow();

    public bool IsHeld => _lease is { } lease && Now < _ends && holders.Live(lease.Holder);

    /// <summary>Whether this lease is the last that was given, and was not given back.</summary>
    public bool IsOf(SessionLease lease) => lease.Id == _lease?.Id;

    /// <summary>Some lease was given and not given back.</summary>
    public bool IsTaken => _lease is not null;

    /// <summary>Finds the lease that an earlier activation of the grain gave.</summary>
    public async Task LoadAsync()
    {
        if (shared is not null) Adopt(await shared.ReadAsync(session));
    }

    /// <summary>Waits until no other turn runs.</summary>
    /// <param name="epoch">The session's epoch now; null: there is no session.</param>
    public async Task<(BeginOutcome Outcome, SessionLease? Lease)> TakeAsync(Func<long?> epoch, BeginTurn asked, CancellationToken cancellation)
    {
        if (HasGiven(asked) is { } given) return (BeginOutcome.Begun, given);
        if (!IsHeld && _waiting.Count == 0 && await TryTakeAsync(epoch, asked) is { } first) return first;
        if (asked.Wait <= TimeSpan.Zero) return (BeginOutcome.Busy, null);
        if (_waiting.Count >= SessionRules.MostWaiting) return (BeginOutcome.TooManyWait, null);
        var until = Now + asked.Wait;
        var place = _waiting.AddLast(NewSignal());
        try
        {
            while (true)
            {
                // Taken before the place in the line is given up, so that nobody comes between.
                if (!IsHeld && _waiting.First == place && await TryTakeAsync(epoch, asked) is { } taken) return taken;
                if (HasGiven(asked) is { } known) return (BeginOutcome.Begun, known);   // to the same one, who asked before and waited here too
                if (Now >= until || !holders.Live(asked.Holder)) return (BeginOutcome.Busy, null);
                await place.Value.Task.WaitAsync(NextLook(until) - Now, time, cancellation)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                cancellation.ThrowIfCancellationRequested();
                place.Value = NewSignal();
            }
        }
        finally
        {
            _waiting.Remove(place);
            if (!IsHeld) WakeFirst();
        }
    }

    /// <returns>False if the lease is not held any more.</returns>
    public async Task<bool> RenewAsync(SessionLease lease)
    {
        if (!IsOf(lease)) return false;
        var held = shared is null || await shared.TryRenewAsync(session, Write(lease), SessionRules.LeaseTime)
            || await shared.TryTakeAsync(session, Write(lease), null, SessionRules.LeaseTime);
        if (held && IsOf(lease)) _ends = Now + SessionRules.LeaseTime;
        return held;
    }

    /// <summary>Gives the lease back, whoever has it, and lets the next turn begin.</summary>
    public async Task ReleaseAsync()
    {
        if (_lease is { } lease)
            try
            {
                _over = lease;   // until it is known to be given back outside too, the next turn may replace it
                if (shared is not null) await shared.ReleaseAsync(session, Write(lease));
                _over = null;
            }
            finally
            {
                _lease = null;
            }
        WakeFirst();
    }

    /// <summary>The lease that was given to this very request, whose answer was lost; null: none was.</summary>
    SessionLease? HasGiven(BeginTurn asked) => IsHeld && _lease!.Id == asked.Request ? _lease : null;

    /// <returns>Null if another silo's activation has given a lease that counts.</returns>
    async Task<(BeginOutcome Outcome, SessionLease? Lease)?> TryTakeAsync(Func<long?> epoch, BeginTurn asked)
    {
        if (!holders.Live(asked.Holder)) return (BeginOutcome.Busy, null);   // it died while it waited: nobody would run the turn
        for (var attempt = 0; attempt < 2 && !IsHeld; attempt++)   // the second in place of a dead holder
        {
            if (epoch() is not { } current) return (BeginOutcome.NotFound, null);
            var (over, lease) = (_lease ?? _over, new SessionLease(asked.Request, current, asked.Holder));
            (_lease, _ends) = (lease, Now + SessionRules.LeaseTime);   // at once: others ask while this one waits for the store
            try
            {
                if (shared is null || await shared.TryTakeAsync(session, Write(lease), over is null ? null : Write(over), SessionRules.LeaseTime))
                    return (BeginOutcome.Begun, lease);
                Adopt(await shared.ReadAsync(session));
            }
            catch
            {
                _lease = null;
                throw;
            }
        }
        return null;
    }

    void Adopt(string? written) => (_lease, _over, _ends) = (Read(written), null, Now + SessionRules.LeaseTime);

    DateTimeOffset NextLook(DateTimeOffset until)
    {
        var next = IsHeld && _ends < until ? _ends : until;
        return shared is null || next < Now + LookEvery ? next : Now + LookEvery;
    }

    void WakeFirst() => _waiting.First?.Value.TrySetResult();

    static string Write(SessionLease lease) => string.Create(CultureInfo.InvariantCulture, $"{lease.Id:N} {lease.Epoch} {lease.Holder}");

    static SessionLease? Read(string? written)
        => written?.Split(' ', 3) is [var id, var epoch, var holder]
            && Guid.TryParse(id, out var read) && long.TryParse(epoch, CultureInfo.InvariantCulture, out var number)
            ? new SessionLease(read, number, holder)
            : null;

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>Tells whether the silo through which a lease was asked for is alive.</summary>
sealed class LeaseHolders(IClusterMembershipService members)
{
    public bool Live(string holder) => holder.Length == 0 || members.CurrentSnapshot.GetSiloStatus(SiloAddress.FromParsableString(holder)) != SiloStatus.Dead;
}
