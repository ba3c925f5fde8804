using StackExchange.Redis;

namespace LlamaCluster.Sessions.Storage;

/// <summary>
/// Who has the turn of a session, where the silo that gave it may die while its holder lives on. A lease ends by itself if it is not renewed.
/// </summary>
interface ITurnLeases
{
    /// <summary>The lease that is held; null: none is.</summary>
    Task<string?> ReadAsync(string session);

    /// <param name="instead">A lease that counts no longer, and may be replaced; null: none.</param>
    /// <returns>False if another lease is held.</returns>
    Task<bool> TryTakeAsync(string session, string lease, string? instead, TimeSpan time);

    /// <returns>False if this lease is not held.</returns>
    Task<bool> TryRenewAsync(string session, string lease, TimeSpan time);

    Task ReleaseAsync(string session, string lease);
}

/// <summary>
/// Leases in Redis: a key for each session with a turn, which ends by itself. Each change is one script, so it is made whole or not at all, and Redis' own
/// MONITOR is a log of leases.
/// </summary>
sealed class RedisTurnLeases(IConnectionMultiplexer connection) : ITurnLeases
{
    /// <summary>Arguments: the lease, the one that may be replaced, milliseconds.</summary>
    const string Take = """
        local held = redis.call('GET', KEYS[1])
        if held and held ~= ARGV[1] and held ~= ARGV[2] then return 0 end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
        return 1
        """;

    const string Renew = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0";

    const string Release = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0";

    readonly IDatabase _redis = connection.GetDatabase();

    public async Task<string?> ReadAsync(string session) => await _redis.StringGetAsync(KeyOf(session));

    public Task<bool> TryTakeAsync(string session, string lease, string? instead, TimeSpan time)
        => RunAsync(Take, session, lease, instead ?? "", Milliseconds(time));

    public Task<bool> TryRenewAsync(string session, string lease, TimeSpan time) => RunAsync(Renew, session, lease, Milliseconds(time));

    public Task ReleaseAsync(string session, string lease) => RunAsync(Release, session, lease);

    async Task<bool> RunAsync(string script, string session, params RedisValue[] values)
        => (long)await _redis.ScriptEvaluateAsync(script, [KeyOf(session)], values) == 1;

    static RedisValue Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;

    static RedisKey KeyOf(string session) => $"llamacluster/turn/{session}";
}
