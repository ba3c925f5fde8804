using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Sessions.Tests.Responses;

/// <summary>Responses that are kept, in SQLite and in Redis.</summary>
public sealed class ResponseDirectoryTests : IDisposable
{
    readonly TempFolder _folder = new();
    readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    RedisServer? _server;

    public void Dispose()
    {
        _folder.Dispose();
        _server?.Dispose();
    }

    [Fact]
    public Task A_response_is_found_by_others_and_after_a_restart_in_a_file() => A_response_is_found_Async(File);

    [RedisFact]
    public Task A_response_is_found_by_others_and_after_a_restart_in_Redis() => A_response_is_found_Async(Redis());

    [Fact]
    public Task The_oldest_of_an_owner_make_room_in_a_file() => The_oldest_make_room_Async(File);

    [RedisFact]
    public Task The_oldest_of_an_owner_make_room_in_Redis() => The_oldest_make_room_Async(Redis());

    [Fact]
    public async Task Their_time_ends()
    {
        await using var directory = Open(File, TimeSpan.FromMinutes(1));
        await directory.SweepAsync(default).Soon();   // makes no file
        Assert.False(System.IO.File.Exists(File.Path));
        await directory.TryPutAsync(Of("a"), default).Soon();
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(await directory.FindAsync("a", default).Soon());
        await directory.SweepAsync(default).Soon();
        await using var before = new ResponseDirectory(
            new SessionsOptions(), File, new FakeTimeProvider(_time.GetUtcNow().AddMinutes(-1)), NullLogger<ResponseDirectory>.Instance);
        Assert.Null(await before.FindAsync("a", default).Soon());
    }

    [Fact]
    public async Task Without_a_place_they_end_with_the_process()
    {
        await using var directory = Open(null);
        Assert.True(await directory.TryPutAsync(Of("a"), default).Soon());
        Assert.NotNull(await directory.FindAsync("a", default).Soon());
    }

    [RedisFact]
    public async Task Redis_that_is_gone_is_named()
    {
        var place = Redis();
        await using var directory = Open(place);
        _server!.Kill();
        var gone = await Assert.ThrowsAsync<StateStoreException>(() => directory.FindAsync("a", default).Soon());
        Assert.Equal($"sessions cannot be kept in {place}: it does not answer; start it, or look at the network between", gone.Message);
    }

    async Task A_response_is_found_Async(StatePlace place)
    {
        var kept = Of("a") with { Owner = "ann", Begun = _time.GetUtcNow().AddHours(-1) };
        await using (var first = Open(place))
        await using (var second = Open(place))
        {
            Assert.Null(await second.FindAsync("a", default).Soon());
            Assert.True(await first.TryPutAsync(kept, default).Soon());
            Assert.Equivalent(kept, await second.FindAsync("a", default).Soon(), strict: true);
        }
        await using var next = Open(place);
        var found = await next.FindAsync("a", default).Soon();
        Assert.Equivalent(kept, found, strict: true);
        await next.DeleteAsync(found!, default).Soon();
        await next.DeleteAsync(found!, default).Soon();
        Assert.Null(await next.FindAsync("a", default).Soon());
    }

    async Task The_oldest_make_room_Async(StatePlace place)
    {
        await using var directory = Open(place, limits: new ResponseLimits(3, 12_000));
        for (var number = 0; number < 5; number++)
        {
            await directory.TryPutAsync(Of($"r{number}"), default).Soon();
            await directory.TryPutAsync(Of($"other{number}") with { Owner = "other" }, default).Soon();
            _time.Advance(TimeSpan.FromSeconds(1));
        }
        Assert.Equal(["r2", "r3", "r4"], await ThereAsync(directory));
        await directory.TryPutAsync(Of("large") with { Response = $"\"{new string('x', 5800)}\"" }, default).Soon();
        Assert.Equal(["r3", "r4", "large"], await ThereAsync(directory));   // by their number
        _time.Advance(TimeSpan.FromSeconds(1));
        await directory.TryPutAsync(Of("larger") with { Response = $"\"{new string('x', 5800)}\"" }, default).Soon();
        Assert.Equal(["larger"], await ThereAsync(directory));   // by their bytes
        Assert.False(await directory.TryPutAsync(Of("too large") with { Response = $"\"{new string('x', 10_000)}\"" }, default).Soon());
        Assert.NotNull(await directory.FindAsync("other4", default).Soon());
    }

    static async Task<List<string>> ThereAsync(ResponseDirectory directory)
    {
        var there = new List<string>();
        foreach (var id in (string[])["r0", "r1", "r2", "r3", "r4", "large", "larger", "too large"])
            if (await directory.FindAsync(id, default).Soon() is not null) there.Add(id);
        return there;
    }

    StatePlace.File File => new(_folder.File("sessions.db"));

    StatePlace Redis()
    {
        _server = RedisServer.Start();
        return StatePlace.TryParse(_server.Url, out var place, out _) ? place : throw new InvalidOperationException(_server.Url);
    }

    ResponseDirectory Open(StatePlace? place, TimeSpan? timeToLive = null, ResponseLimits? limits = null)
    {
        var options = new SessionsOptions { TimeToLive = timeToLive ?? TimeSpan.FromDays(1) };
        return limits is { } given
            ? new ResponseDirectory(options, place, _time, NullLogger<ResponseDirectory>.Instance) { Limits = given }
            : new ResponseDirectory(options, place, _time, NullLogger<ResponseDirectory>.Instance);
    }

    ResponseState Of(string id) => new(id, "", _time.GetUtcNow(), "{}", "[]", 0, new SessionHistory
    {
        Messages = ["{\"role\":\"user\",\"content\":\"Hi\"}", "{\"role\":\"assistant\",\"content\":\"Ho\"}"],
        Ids = [1, 2, 3],
        Turns = [new(2, 3, 2)],
        Model = "m",
    });
}
