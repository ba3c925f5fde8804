namespace LlamaCluster.Sessions.Storage;

/// <summary>What lists say of a session.</summary>
/// <param name="Model">Digest of the model of the last turn; empty before the first.</param>
/// <param name="Turns">Turns that were committed.</param>
/// <param name="Messages">Messages in the history.</param>
/// <param name="Tokens">Token ids in the history.</param>
[GenerateSerializer, Immutable]
public sealed record SessionEntry(
    string Id, string Client, string Model, DateTimeOffset Created, DateTimeOffset Updated, DateTimeOffset? Expires,
    int Turns, int Messages, int Tokens, long Epoch);

/// <summary>Which sessions are asked for.</summary>
/// <param name="Limit">At most so many, from 1.</param>
/// <param name="After">The id of the last session of the page before; null: the first page.</param>
/// <param name="OldestFirst">In the order in which they were made; otherwise the newest come first.</param>
public sealed record SessionQuery(int Limit, string? After = null, bool OldestFirst = false)
{
    /// <summary>Only sessions that were last used before.</summary>
    public DateTimeOffset? UpdatedBefore { get; init; }

    /// <summary>Only sessions that were last used then or later.</summary>
    public DateTimeOffset? UpdatedSince { get; init; }

    internal bool Takes(SessionEntry entry) => !(entry.Updated >= UpdatedBefore) && !(entry.Updated < UpdatedSince);
}

/// <param name="HasMore">There are more after the last of these.</param>
public sealed record SessionPage(IReadOnlyList<SessionEntry> Sessions, bool HasMore)
{
    internal static SessionPage Of(List<SessionEntry> found, int limit) => new(found.Count > limit ? found[..limit] : found, found.Count > limit);
}

/// <summary>
/// The list of all sessions, beside their states, which can only be found by id. A session is put here before its state is first stored, and removed after
/// its state is. So a crash in between leaves an entry without a session, which the next sweep removes, and never a session without an entry.
/// </summary>
interface ISessionCatalog
{
    Task PutAsync(SessionEntry entry);

    Task RemoveAsync(string id);

    /// <returns>Null if there is no session <see cref="SessionQuery.After"/>.</returns>
    Task<SessionPage?> ListAsync(SessionQuery query);

    /// <summary>How many sessions a client has.</summary>
    Task<int> CountAsync(string client);

    /// <summary>The ids of sessions that have ended by their time to live.</summary>
    Task<IReadOnlyList<string>> ExpiredAsync(DateTimeOffset now, int most);
}
