using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions;

/// <summary>How long sessions are kept, and how many.</summary>
public sealed record SessionsOptions
{
    /// <summary>A Redis server that keeps the sessions (redis://...). Null, the default: a SQLite file in the data folder keeps them.</summary>
    public string? State { get; init; }

    /// <summary>A session ends so long after it was last used. 1 s to 10 years; null: never. Default 30 days.</summary>
    public TimeSpan? TimeToLive { get; init; } = TimeSpan.FromDays(30);

    /// <summary>Sessions of one client. 1 to 1000000, default 1000.</summary>
    public int MostPerClient { get; init; } = 1000;

    /// <summary>A turn of a session that has one waits for that one's end. False: it is refused at once. Default true.</summary>
    public bool WaitForTurns { get; init; } = true;

    /// <summary>How long it waits at most. 1 ms to 15 min, default 30 s.</summary>
    public TimeSpan TurnWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The port of this machine (127.0.0.1, and no other address) where Orleans' own dashboard is. 0: any free one. Null, the default: there is none.
    /// </summary>
    public int? OrleansDashboard { get; init; }

    /// <summary>The first wrong value in one line; null if all are right.</summary>
    public string? FirstProblem()
    {
        if (State is not null && !StatePlace.TryParse(State, out _, out var wrong)) return $"--state is not usable: {wrong}";
        if (TimeToLive is { } ttl && (ttl < TimeSpan.FromSeconds(1) || ttl > TimeSpan.FromDays(3660)))
            return $"--session-ttl is {ttl}; it must be from 1 s to 10 years";
        if (MostPerClient is < 1 or > 1_000_000) return $"--sessions-per-client is {MostPerClient}; it must be from 1 to 1000000";
        if (OrleansDashboard is < 0 or > 65535) return $"--orleans-dashboard is {OrleansDashboard}; it must be a port, from 0 to 65535";
        return TurnWait < TimeSpan.FromMilliseconds(1) || TurnWait > TimeSpan.FromMinutes(15)
            ? $"{nameof(TurnWait)} is {TurnWait}; it must be from 1 ms to 15 min"
            : null;
    }

    /// <param name="folder">For the SQLite file.</param>
    public StatePlace PlaceIn(string folder)
        => State is not null && StatePlace.TryParse(State, out var redis, out _) ? redis : new StatePlace.File(Path.Combine(folder, "sessions.db"));
}
