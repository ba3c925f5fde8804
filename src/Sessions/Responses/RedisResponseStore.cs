using LlamaCluster.Sessions.Grains;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Responses;

/// <summary>
/// Responses in Redis: a key for each, which ends by itself, and for each owner a list of them by creation with the bytes of each. What changes them is one
/// script, so it is made whole or not at all.
/// </summary>
/// <param name="connection">Belongs to the store from now on.</param>
sealed class RedisResponseStore(IConnectionMultiplexer connection) : IResponseStore
{
    const string Prefix = "llamacluster/response/";

    /// <summary>
    /// Keys: the response, its owner's list, the bytes of these; "" among them is their sum. Arguments: data, id, milliseconds that it was made at and that it
    /// is kept for ("": for ever), the two limits. Those that ended by themselves are dropped from the list by their time, which all of an owner share.
    /// </summary>
    const string Put = """
        local list, sizes, id, created, time = KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4]
        redis.call('SET', KEYS[1], ARGV[1])
        redis.call('ZADD', list, created, id)
        redis.call('HSET', sizes, id, #ARGV[1])
        for _, key in ipairs(KEYS) do
            if time ~= '' then redis.call('PEXPIRE', key, time) else redis.call('PERSIST', key) end
        end
        local total = redis.call('HINCRBY', sizes, '', #ARGV[1])
        while true do
            local oldest = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')
            local isOver = time ~= '' and tonumber(oldest[2]) <= created - time
            if oldest[1] == id or not (isOver or total > tonumber(ARGV[6]) or redis.call('ZCARD', list) > tonumber(ARGV[5])) then return 1 end
            redis.call('DEL', ARGV[7] .. oldest[1])
            redis.call('ZREM', list, oldest[1])
            total = redis.call('HINCRBY', sizes, '', -redis.call('HGET', sizes, oldest[1]))
            redis.call('HDEL', sizes, oldest[1])
        end
        """;

    const string Delete = """
        if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
        redis.call('HINCRBY', KEYS[3], '', -redis.call('HGET', KEYS[3], ARGV[1]))
        redis.call('HDEL', KEYS[3], ARGV[1])
        return redis.call('DEL', KEYS[1])
        """;

    readonly IDatabase _redis = connection.GetDatabase();
    readonly StateSerializer _serializer = new();

    public async Task PutAsync(ResponseState response, DateTimeOffset? expires, ResponseLimits limits)
    {
        RedisValue kept = expires is { } end ? (long)(end - response.Created).TotalMilliseconds : RedisValue.EmptyString;
        await _redis.ScriptEvaluateAsync(Put, KeysOf(response),
            [_serializer.Serialize(response).ToArray(), response.Id, response.Created.ToUnixTimeMilliseconds(), kept, limits.Responses, limits.Bytes, Prefix]);
    }

    public async Task<ResponseState?> FindAsync(string id, DateTimeOffset now)
    {
        var data = await _redis.StringGetAsync(KeyOf(id));
        return data.IsNull ? null : _serializer.Deserialize<ResponseState>(new BinaryData((ReadOnlyMemory<byte>)data));
    }

    public Task DeleteAsync(ResponseState response) => _redis.ScriptEvaluateAsync(Delete, KeysOf(response), [response.Id]);

    public Task SweepAsync(DateTimeOffset now) => Task.CompletedTask;

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    static RedisKey[] KeysOf(ResponseState response)
        => [KeyOf(response.Id), $"llamacluster/responses/{response.Owner}", $"llamacluster/response-bytes/{response.Owner}"];

    static RedisKey KeyOf(string id) => Prefix + id;
}
