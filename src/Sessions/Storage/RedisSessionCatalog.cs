using System.Text.Json;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Storage;

/// <summary>
/// The list of sessions in Redis: a hash of all entries, and sorted sets by creation, by end, and of each client. They are changed together (MULTI). Keys
/// begin as those of the official grain storage do.
/// </summary>
sealed class RedisSessionCatalog(IConnectionMultiplexer connection) : ISessionCatalog, IAsyncDisposable
{
    const string Prefix = "llamacluster/catalog/";
    const int Batch = 200;

    static readonly RedisKey Entries = Prefix + "entries";
    static readonly RedisKey ByCreation = Prefix + "by-creation";
    static readonly RedisKey ByEnd = Prefix + "by-end";

    readonly IDatabase _redis = connection.GetDatabase();

    public async Task PutAsync(SessionEntry entry)
    {
        var change = _redis.CreateTransaction();
        RedisValue id = entry.Id;
        _ = change.HashSetAsync(Entries, id, JsonSerializer.SerializeToUtf8Bytes(entry));
        _ = change.SortedSetAddAsync(ByCreation, id, entry.Created.ToUnixTimeMilliseconds());
        _ = entry.Expires is { } end ? change.SortedSetAddAsync(ByEnd, id, end.ToUnixTimeMilliseconds()) : (Task)change.SortedSetRemoveAsync(ByEnd, id);
        _ = change.SetAddAsync(OfClient(entry.Client), id);
        await change.ExecuteAsync();
    }

    public async Task RemoveAsync(string id)
    {
        var known = await FindAsync(id);
        var change = _redis.CreateTransaction();
        _ = change.HashDeleteAsync(Entries, id);
        _ = change.SortedSetRemoveAsync(ByCreation, id);
        _ = change.SortedSetRemoveAsync(ByEnd, id);
        if (known is not null) _ = change.SetRemoveAsync(OfClient(known.Client), id);
        await change.ExecuteAsync();
    }

    public async Task<SessionPage?> ListAsync(SessionQuery query)
    {
        var order = query.OldestFirst ? Order.Ascending : Order.Descending;
        long next = 0;
        if (query.After is { } after)
        {
            // The rank is the place in the order that is asked for; members of one score are ordered by id, as everywhere.
            if (await _redis.SortedSetRankAsync(ByCreation, after, order) is not { } rank) return null;
            next = rank + 1;
        }
        List<SessionEntry> found = [];
        while (found.Count <= query.Limit)
        {
            var ids = await _redis.SortedSetRangeByRankAsync(ByCreation, next, next + Batch - 1, order);
            if (ids.Length == 0) break;
            next += ids.Length;
            foreach (var entry in await _redis.HashGetAsync(Entries, ids))
                if (Read(entry) is { } read && query.Takes(read)) found.Add(read);
        }
        return SessionPage.Of(found, query.Limit);
    }

    public async Task<int> CountAsync(string client) => (int)await _redis.SetLengthAsync(OfClient(client));

    public async Task<IReadOnlyList<string>> ExpiredAsync(DateTimeOffset now, int most)
    {
        var ids = await _redis.SortedSetRangeByScoreAsync(ByEnd, stop: now.ToUnixTimeMilliseconds(), take: most);
        return [.. ids.Select(id => id.ToString())];
    }

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    async Task<SessionEntry?> FindAsync(string id) => Read(await _redis.HashGetAsync(Entries, id));

    static RedisKey OfClient(string client) => $"{Prefix}client/{client}";

    static SessionEntry? Read(RedisValue entry) => entry.IsNull ? null : JsonSerializer.Deserialize<SessionEntry>(((ReadOnlyMemory<byte>)entry).Span);
}
