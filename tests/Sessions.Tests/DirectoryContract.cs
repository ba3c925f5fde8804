using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Sessions.Tests;

/// <summary>What sessions promise, wherever they are kept.</summary>
public abstract class DirectoryContract : IAsyncLifetime
{
    static readonly TimeSpan Patience = WaitExtensions.Deadline;

    readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    SessionDirectory _directory = null!;

    protected abstract StatePlace Place { get; }

    public Task InitializeAsync()
    {
        _directory = Open();
        return Task.CompletedTask;
    }

    public virtual async Task DisposeAsync() => await _directory.DisposeAsync();

    SessionDirectory Open(SessionsOptions? options = null) => new(options ?? new SessionsOptions(), Place, _time, NullLoggerFactory.Instance);

    protected async Task A_turn_is_stored_and_found_after_a_restartAsync()
    {
        var made = await CreateAsync();
        var state = await TurnAsync(made, "first", 1, 2, 3);
        Assert.Equal((1, 1), (state.Epoch, state.TurnsTaken));
        await TurnAsync(made, "second", 1, 2, 3, 4);

        await _directory.DisposeAsync();
        _directory = Open();
        var read = await _directory.ReadAsync(made, default);
        Assert.Equal(new[] { 1, 2, 3, 4 }, read!.History.Ids);
        Assert.Equal(["first", "second"], read.History.Messages);
        Assert.Equal([new SessionTurn(1, 3, 5), new SessionTurn(2, 4, 6)], read.History.Turns);
        Assert.Equal((2, 2, "me", _time.GetUtcNow()), (read.Epoch, read.TurnsTaken, read.Client, read.Created));
        Assert.Equal(read.ToEntry(made), await _directory.FindAsync(made, default));
    }

    protected async Task One_turn_at_a_timeAsync()
    {
        var id = await CreateAsync();
        var first = await BeginAsync(id);
        Assert.Equal(BeginOutcome.Busy, (await _directory.BeginTurnAsync(id, TimeSpan.Zero, null, default)).Outcome);

        var second = _directory.BeginTurnAsync(id, TimeSpan.FromMinutes(1), null, default);
        var third = _directory.BeginTurnAsync(id, TimeSpan.FromMinutes(1), null, default);
        Assert.Equal(CommitOutcome.Committed, await _directory.CommitAsync(id, first.Lease!, WithIds(first.State!, 7)));
        var next = await second.Soon();
        Assert.Equal(7, Assert.Single(next.State!.History.Ids));
        Assert.False(third.IsCompleted);
        await _directory.AbortAsync(id, next.Lease!);
        var last = await third.Soon();
        Assert.Equal(7, Assert.Single(last.State!.History.Ids));

        // Only the holder of the lease can commit.
        Assert.Equal(CommitOutcome.LeaseLost, await _directory.CommitAsync(id, next.Lease!, WithIds(next.State!, 8)));
        Assert.Equal(CommitOutcome.Committed, await _directory.CommitAsync(id, last.Lease!, WithIds(last.State!, 9)));
        Assert.Equal(9, Assert.Single((await _directory.ReadAsync(id, default))!.History.Ids));
    }

    protected async Task A_waiting_turn_can_leave_and_a_dead_one_loses_its_leaseAsync()
    {
        var id = await CreateAsync();
        var dead = await BeginAsync(id);
        using var leaving = new CancellationTokenSource();
        var gone = _directory.BeginTurnAsync(id, TimeSpan.FromMinutes(2), null, leaving.Token);
        // Longer than time can advance while a store that is slow takes its moment.
        var waits = _directory.BeginTurnAsync(id, TimeSpan.FromDays(1), null, default);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        Assert.True(await _directory.RenewAsync(id, dead.Lease!));
        while (!waits.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(5));   // nobody renews it
            await _directory.FindAsync(id, default);   // the grain has had time to look
        }
        Assert.Equal(BeginOutcome.Begun, (await waits.Soon()).Outcome);
        Assert.False(await _directory.RenewAsync(id, dead.Lease!));
        Assert.Equal(CommitOutcome.LeaseLost, await _directory.CommitAsync(id, dead.Lease!, WithIds(dead.State!, 1)));
    }

    protected async Task A_session_can_begin_with_its_first_turnAsync()
    {
        var fresh = new SessionState { Client = "me" };
        Assert.Equal(BeginOutcome.NotFound, (await _directory.BeginTurnAsync("named", TimeSpan.Zero, null, default)).Outcome);
        var aborted = await _directory.BeginTurnAsync("named", TimeSpan.Zero, fresh, default);
        await _directory.AbortAsync("named", aborted.Lease!);
        Assert.Null(await _directory.FindAsync("named", default));
        var begun = await _directory.BeginTurnAsync("named", TimeSpan.Zero, fresh, default);
        Assert.Equal(CommitOutcome.Committed, await _directory.CommitAsync("named", begun.Lease!, WithIds(begun.State!, 5)));
        Assert.Equal(1, (await _directory.FindAsync("named", default))!.Turns);
    }

    protected async Task Deleted_sessions_are_gone_and_cannot_be_committed_toAsync()
    {
        var id = await CreateAsync();
        var turn = await BeginAsync(id);
        Assert.True(await _directory.DeleteAsync(id, default));
        Assert.False(await _directory.DeleteAsync(id, default));
        Assert.Equal(CommitOutcome.LeaseLost, await _directory.CommitAsync(id, turn.Lease!, WithIds(turn.State!, 1)));
        Assert.Null(await _directory.ReadAsync(id, default));
        Assert.Empty((await _directory.ListAsync(new SessionQuery(10), default))!.Sessions);
    }

    protected async Task Lists_have_pages_and_agesAsync()
    {
        List<string> made = [];
        for (var i = 0; i < 5; i++)
        {
            made.Add(await CreateAsync());
            _time.Advance(TimeSpan.FromMinutes(1));
        }
        var old = _time.GetUtcNow();
        await TurnAsync(made[0], "used again", 1);

        async Task<(string[] Ids, bool More)> Page(SessionQuery query)
        {
            var page = (await _directory.ListAsync(query, default))!;
            return ([.. page.Sessions.Select(session => session.Id)], page.HasMore);
        }
        Assert.Equivalent((new[] { made[4], made[3] }, true), await Page(new(2)), strict: true);
        Assert.Equivalent((new[] { made[2], made[1] }, true), await Page(new(2, made[3])), strict: true);
        Assert.Equivalent((new[] { made[0] }, false), await Page(new(2, made[1])), strict: true);
        Assert.Equivalent((new[] { made[2], made[3] }, true), await Page(new(2, made[1], OldestFirst: true)), strict: true);
        Assert.Equivalent((new[] { made[0] }, false), await Page(new(5) { UpdatedSince = old }), strict: true);
        Assert.Equivalent((new[] { made[4], made[3] }, true), await Page(new(2) { UpdatedBefore = old }), strict: true);
        Assert.Null(await _directory.ListAsync(new(2, "unknown"), default));
    }

    protected async Task Sessions_end_by_their_time_to_liveAsync()
    {
        var (shortLived, used, longLived) = (await CreateAsync(TimeSpan.FromHours(1)), await CreateAsync(TimeSpan.FromHours(1)), await CreateAsync());
        _time.Advance(TimeSpan.FromMinutes(40));
        await TurnAsync(used, "still here", 1);
        _time.Advance(TimeSpan.FromMinutes(40));
        Assert.Null(await _directory.FindAsync(shortLived, default));
        Assert.Equal(BeginOutcome.NotFound, (await _directory.BeginTurnAsync(shortLived, TimeSpan.Zero, null, default)).Outcome);
        Assert.Equal(1, await _directory.SweepAsync(default));
        Assert.Equivalent(new[] { longLived, used }, (await _directory.ListAsync(new(10), default))!.Sessions.Select(session => session.Id), strict: true);

        // A turn is use: one that began in time and goes on is committed.
        _time.Advance(TimeSpan.FromMinutes(19));
        var slow = await BeginAsync(used);
        for (var i = 0; i < 6; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(20));
            Assert.True(await _directory.RenewAsync(used, slow.Lease!));
        }
        Assert.Equal(CommitOutcome.Committed, await _directory.CommitAsync(used, slow.Lease!, WithIds(slow.State!, 2)));
        Assert.Equal(2, (await _directory.FindAsync(used, default))!.Turns);
    }

    protected async Task A_client_has_only_so_manyAsync()
    {
        await _directory.DisposeAsync();
        _directory = Open(new SessionsOptions { MostPerClient = 2 });
        await CreateAsync();
        var second = await CreateAsync();
        Assert.Null((await _directory.CreateAsync(new SessionState { Client = "me" }, default)).Session);
        Assert.Equal(
            BeginOutcome.TooManySessions,
            (await _directory.BeginTurnAsync("named", TimeSpan.Zero, new SessionState { Client = "me" }, default)).Outcome);
        Assert.NotNull((await _directory.CreateAsync(new SessionState { Client = "other" }, default)).Session);
        await _directory.DeleteAsync(second, default);
        Assert.NotNull((await _directory.CreateAsync(new SessionState { Client = "me" }, default)).Session);
    }

    static SessionState WithIds(SessionState before, params int[] ids) => before with { History = before.History with { Ids = ids } };

    async Task<string> CreateAsync(TimeSpan? timeToLive = null)
        => (await _directory.CreateAsync(new SessionState { Client = "me", TimeToLive = timeToLive }, default).Soon()).Session!.Id;

    async Task<BeginReply> BeginAsync(string id)
    {
        var begun = await _directory.BeginTurnAsync(id, Patience, null, default).Soon();
        Assert.Equal(BeginOutcome.Begun, begun.Outcome);
        return begun;
    }

    async Task<SessionState> TurnAsync(string id, string message, params int[] ids)
    {
        var begun = await BeginAsync(id);
        var history = begun.State!.History;
        var next = history with
        {
            Messages = [.. history.Messages, message],
            Ids = ids,
            Turns = [.. history.Turns, new SessionTurn(history.Messages.Length + 1, ids.Length, message.Length)],
        };
        Assert.Equal(CommitOutcome.Committed, await _directory.CommitAsync(id, begun.Lease!, begun.State with { History = next }));
        return (await _directory.ReadAsync(id, default))!;
    }
}
