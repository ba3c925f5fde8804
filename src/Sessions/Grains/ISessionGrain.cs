using LlamaCluster.Sessions.Storage;
using Orleans.Concurrency;

namespace LlamaCluster.Sessions.Grains;

/// <summary>
/// One session. Its key is "tenant/id". One turn at a time: a turn has a lease from <see cref="BeginTurnAsync"/> until it is committed or aborted, or until
/// it was not renewed for too long. Nothing per token goes through here.
/// </summary>
[Alias("LlamaCluster.ISessionGrain")]
interface ISessionGrain : IGrainWithStringKey
{
    /// <summary>Stores a new session.</summary>
    [Alias("Create")]
    Task<CreateOutcome> CreateAsync(SessionState first);

    /// <summary>Waits until no other turn runs, in the order in which turns asked, and gives the lease and the history.</summary>
    [Alias("BeginTurn"), AlwaysInterleave, ResponseTimeout("00:20:00")]
    Task<BeginReply> BeginTurnAsync(BeginTurn asked, CancellationToken cancellation);

    /// <summary>Keeps a lease for another while.</summary>
    /// <returns>False if the lease is not held any more.</returns>
    [Alias("Renew")]
    Task<bool> RenewAsync(SessionLease lease);

    /// <summary>Ends a turn: the session is what it became, on the disk, when this returns.</summary>
    /// <param name="next">The session with its new history. Times, epoch and count of turns are set here.</param>
    [Alias("Commit")]
    Task<CommitOutcome> CommitAsync(SessionLease lease, SessionState next);

    /// <summary>Ends a turn: the session is as it was.</summary>
    [Alias("Abort")]
    Task AbortAsync(SessionLease lease);

    /// <summary>The whole session; null if there is none, or if it has ended by its time to live.</summary>
    [Alias("Read")]
    Task<SessionState?> ReadAsync();

    /// <summary>What lists say of it, now; null as above.</summary>
    [Alias("Describe")]
    Task<SessionEntry?> DescribeAsync();

    /// <summary>Removes the session. A turn that runs cannot be committed any more.</summary>
    /// <returns>False if there was none.</returns>
    [Alias("Delete")]
    Task<bool> DeleteAsync();

    /// <summary>Removes the session if it has ended by its time to live, or never came to be.</summary>
    /// <returns>Whether it is gone.</returns>
    [Alias("Expire")]
    Task<bool> ExpireAsync();
}

/// <summary>The right to be the one turn of a session.</summary>
/// <param name="Epoch">The session's epoch when the turn began.</param>
/// <param name="Holder">The silo through which it was asked for. When that is dead, so is the turn.</param>
[GenerateSerializer, Immutable]
public sealed record SessionLease(Guid Id, long Epoch, string Holder = "");

/// <param name="Wait">How long to wait for another turn's end; zero: not at all.</param>
/// <param name="Fresh">What the session begins as if there is none; null: then there is no turn.</param>
[GenerateSerializer, Immutable]
public sealed record BeginTurn(TimeSpan Wait, SessionState? Fresh)
{
    /// <summary>The silo that asks.</summary>
    [Id(0)] public string Holder { get; init; } = "";

    /// <summary>Becomes the id of the lease. Who asks again with the same one, because the answer was lost, gets the same lease.</summary>
    [Id(1)] public Guid Request { get; init; } = Guid.NewGuid();
}

[GenerateSerializer, Immutable]
public sealed record BeginReply(BeginOutcome Outcome)
{
    /// <summary>Set if the turn has begun.</summary>
    [Id(0)] public SessionLease? Lease { get; init; }

    /// <summary>Set if the turn has begun.</summary>
    [Id(1)] public SessionState? State { get; init; }
}

[GenerateSerializer]
public enum BeginOutcome
{
    Begun,

    /// <summary>There is no such session.</summary>
    NotFound,

    /// <summary>Another turn runs, and did not end in the time that was given.</summary>
    Busy,

    /// <summary>As many turns wait for this session as may.</summary>
    TooManyWait,

    /// <summary>It would be a new session, and the client has as many as it may.</summary>
    TooManySessions,
}

[GenerateSerializer]
public enum CreateOutcome
{
    Created,

    /// <summary>There is one of that id.</summary>
    Exists,
}

[GenerateSerializer]
public enum CommitOutcome
{
    Committed,

    /// <summary>The lease had ended, or the session has changed or is gone since. Nothing was stored.</summary>
    LeaseLost,
}
