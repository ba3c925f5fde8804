using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Sessions.Tests.Hosting;

/// <summary>What the silo does to the process that it is in, and what becomes of calls when its store is gone.</summary>
public sealed class SessionSiloTests
{
    [Fact]
    public async Task A_silo_with_a_file_opens_no_port()
    {
        using var folder = new TempFolder();
        await using var directory = Open(new StatePlace.File(folder.File("sessions.db")));
        await directory.CreateAsync(new SessionState(), default).Soon();
        Assert.DoesNotContain(new IPEndPoint(IPAddress.Loopback, 11111), IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners());
    }

    [Fact]
    public async Task Two_of_them_are_strangers_to_each_other()
    {
        using var folder = new TempFolder();
        await using var first = Open(new StatePlace.File(folder.File("first.db")));
        await using var second = Open(new StatePlace.File(folder.File("second.db")));
        var id = (await first.CreateAsync(new SessionState(), default).Soon()).Session!.Id;
        Assert.Null(await second.FindAsync(id, default).Soon());
        Assert.NotNull(await first.FindAsync(id, default).Soon());
    }

    [Fact]
    public async Task Nothing_is_started_or_written_before_it_is_asked_for()
    {
        using var folder = new TempFolder();
        var place = new StatePlace.File(folder.File("sessions.db"));
        await using (var directory = Open(place)) Assert.False(directory.MayHoldSessions);
        Assert.False(File.Exists(place.Path));
    }

    [Fact]
    public async Task The_dashboard_is_for_this_machine_and_only_where_it_is_asked_for()
    {
        using var folder = new TempFolder();
        await using var owner = new SiloOwner(new StatePlace.File(folder.File("sessions.db")), TimeProvider.System, NullLoggerFactory.Instance)
        {
            Dashboard = 0,
        };
        var address = await owner.CallAsync(silo => Task.FromResult(silo.DashboardAddress!), default).Soon();
        Assert.Equal("127.0.0.1", address.Host);
        using var http = new HttpClient { BaseAddress = address };
        Assert.Contains("Orleans", await http.GetStringAsync("/").Soon());
        Assert.Contains("hosts", await http.GetStringAsync("/DashboardCounters").Soon());
        using var foreign = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = "dashboard.example.com" } };
        using var refused = await http.SendAsync(foreign).Soon();
        Assert.Equal(System.Net.HttpStatusCode.Forbidden, refused.StatusCode);

        await using var without = new SiloOwner(new StatePlace.File(folder.File("other.db")), TimeProvider.System, NullLoggerFactory.Instance);
        Assert.Null(await without.CallAsync(silo => Task.FromResult(silo.DashboardAddress), default).Soon());
        await using var second = new SiloOwner(new StatePlace.File(folder.File("third.db")), TimeProvider.System, NullLoggerFactory.Instance)
        {
            Dashboard = address.Port,
        };
        var taken = await Assert.ThrowsAsync<StateStoreException>(() => second.CallAsync(silo => Task.FromResult(true), default).Soon());
        Assert.Equal($"--orleans-dashboard: port {address.Port} is in use; give another one", taken.Message);
    }

    [Fact]
    public async Task Temporary_sessions_leave_nothing_behind()
    {
        string path;
        await using (var directory = SessionDirectory.Temporary(new SessionsOptions(), TimeProvider.System, NullLoggerFactory.Instance))
        {
            await directory.CreateAsync(new SessionState(), default).Soon();
            Assert.True(directory.MayHoldSessions);
            path = Assert.IsType<StatePlace.File>(directory.Place).Path;
            Assert.True(File.Exists(path));
        }
        Assert.False(Directory.Exists(Path.GetDirectoryName(path)));
    }

    [RedisFact]
    public async Task Redis_that_comes_late_is_waited_for_by_nobody_and_used_when_it_is_there()
    {
        using var server = RedisServer.Later();
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var directory = new SessionDirectory(new SessionsOptions(), PlaceOf(server), time, NullLoggerFactory.Instance);
        var gone = await Assert.ThrowsAsync<StateStoreException>(() => directory.CreateAsync(new SessionState(), default).Soon());
        Assert.Matches("^sessions .*Redis at 127.0.0.1:[0-9]+.*$", gone.Message);
        server.Run();
        await Assert.ThrowsAsync<StateStoreException>(() => directory.CreateAsync(new SessionState(), default).Soon());   // not tried so soon again
        time.Advance(SiloOwner.RetryPause);
        Assert.NotNull((await directory.CreateAsync(new SessionState(), default).Soon()).Session);
    }

    [RedisFact]
    public async Task Redis_that_goes_fails_turns_and_has_all_that_was_stored_when_it_is_back()
    {
        using var server = RedisServer.Start();
        await using var directory = Open(PlaceOf(server));
        var id = (await directory.CreateAsync(new SessionState(), default).Soon()).Session!.Id;
        var turn = await directory.BeginTurnAsync(id, TimeSpan.Zero, null, default).Soon();
        Assert.Equal(
            CommitOutcome.Committed,
            await directory.CommitAsync(id, turn.Lease!, turn.State! with { History = new SessionHistory { Ids = [1, 2, 3] } }).Soon());

        var next = await directory.BeginTurnAsync(id, TimeSpan.Zero, null, default).Soon();
        server.Kill();
        var gone = await Assert.ThrowsAsync<StateStoreException>(
            () => directory.CommitAsync(id, next.Lease!, next.State! with { History = SessionHistory.Empty }).Soon());
        Assert.Matches("^sessions cannot be kept in Redis at 127.0.0.1:[0-9]+: it does not answer; .*$", gone.Message);

        server.Run();
        SessionState? read = null;
        for (var attempt = 0; read is null && attempt < 100; attempt++)
            try
            {
                read = await directory.ReadAsync(id, default).Soon();
            }
            catch (StateStoreException)
            {
                continue;   // the connection is not back yet; each try takes its own time
            }
        Assert.Equal(new[] { 1, 2, 3 }, read!.History.Ids);
    }

    [RedisFact]
    public async Task A_silo_stops_soon_although_Redis_is_gone()
    {
        using var server = RedisServer.Start();
        var directory = Open(PlaceOf(server));
        await directory.CreateAsync(new SessionState(), default).Soon();
        server.Kill();
        await directory.DisposeAsync().AsTask().Soon();
    }

    [RedisFact]
    public async Task A_silo_that_was_killed_holds_nobody_up()
    {
        using var server = RedisServer.Start();
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", [typeof(SessionSiloTests).Assembly.Location, "serve", server.Url]) { RedirectStandardOutput = true })!;
        var id = await process.StandardOutput.ReadLineAsync().Soon();
        process.Kill();
        await process.WaitForExitAsync().Soon();
        await using var directory = Open(PlaceOf(server));
        var clock = Stopwatch.StartNew();
        Assert.NotNull(await directory.FindAsync(id!, default).Soon());
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));   // 25 s and a refusal where nobody looks who was killed
    }

    [Theory]
    [InlineData("redis://127.0.0.1", "Redis at 127.0.0.1:6379")]
    [InlineData("rediss://user:secret@host:7000/3", "Redis at host:7000")]
    [InlineData("redis://:secret@[::1]:7000", "Redis at [::1]:7000")]
    public void A_place_is_shown_without_its_password(string url, string shown)
    {
        Assert.True(StatePlace.TryParse(url, out var place, out _));
        Assert.Equal(shown, place.ToString());
    }

    [Theory]
    [InlineData("http://host")]
    [InlineData("redis://")]
    [InlineData("redis://host/x")]
    [InlineData("redis://host?db=1")]
    [InlineData("host:6379")]
    public void What_is_no_place_is_refused(string url)
    {
        Assert.False(StatePlace.TryParse(url, out _, out var problem));
        Assert.Contains("redis://host:6379", problem);
        Assert.StartsWith("--state is not usable", new SessionsOptions { State = url }.FirstProblem());
    }

    static SessionDirectory Open(StatePlace place) => new(new SessionsOptions(), place, TimeProvider.System, NullLoggerFactory.Instance);

    static StatePlace PlaceOf(RedisServer server) =>
        StatePlace.TryParse(server.Url, out var place, out _) ? place : throw new InvalidOperationException(server.Url);
}
