using System.Net;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Sessions.Tests.Hosting;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Sessions.Tests;

/// <summary>Coordinators that find each other by a Redis, and turns that go on although the silo of their session's grain is gone.</summary>
public sealed class ClusterDirectoryTests : IDisposable
{
    readonly RedisServer? _server = RedisServer.IsInstalled ? RedisServer.Start() : null;

    public void Dispose() => _server?.Dispose();

    [RedisFact]
    public async Task A_replica_has_one_owner_and_each_owner_a_higher_epoch()
    {
        await using var one = Open();
        await using var two = Open();
        var (first, second) = (new ClusterDirectory(one), new ClusterDirectory(two));
        var joined = await first.JoinAsync(Claim("a"), default).Soon();
        Assert.Equal((1UL, 32, 32), (joined.Owner.Epoch, joined.Secret.Length, joined.ClusterId.Length));

        // While it is alive nobody else can have it.
        var refused = await second.JoinAsync(Claim("a"), default).Soon();
        Assert.Empty(refused.Secret);
        Assert.Equal(joined.Owner, refused.Owner);
        var other = await second.JoinAsync(Claim("b"), default).Soon();
        Assert.Equal(joined.Secret, other.Secret);
        Assert.NotEqual(joined.ClusterId, other.ClusterId);   // epochs of one replica say nothing of another's
        Assert.Equivalent(new[] { "a", "b" }, (await first.ListAsync(default).Soon()).Select(owner => owner.Claim.Replica), strict: true);

        await first.LeaveAsync("a", joined.Owner.Epoch, default).Soon();
        var next = await second.JoinAsync(Claim("a"), default).Soon();
        Assert.Equal((2UL, joined.ClusterId), (next.Owner.Epoch, next.ClusterId));
        await first.LeaveAsync("a", joined.Owner.Epoch, default).Soon();   // of an epoch that is over
        Assert.Equal(2, (await first.ListAsync(default).Soon()).Length);
    }

    [RedisFact]
    public async Task A_claim_that_is_made_again_is_the_same_one()
    {
        await using var one = Open();
        var directory = new ClusterDirectory(one);
        var claim = Claim("a");
        var (first, again) = (await directory.JoinAsync(claim, default).Soon(), await directory.JoinAsync(claim, default).Soon());
        Assert.Equal(first.Owner, again.Owner);
        Assert.Empty((await directory.JoinAsync(claim with { Instance = Guid.NewGuid() }, default).Soon()).Secret);   // another process
        Assert.Equal(2UL, (await directory.JoinAsync(claim with { Address = "http://127.0.0.1:3" }, default).Soon()).Owner.Epoch);   // the same one, elsewhere
    }

    [RedisFact]
    public async Task A_turn_outlives_the_silo_that_gave_its_lease_and_ends_with_the_one_that_asked()
    {
        var (gives, asks) = (new SessionDirectory(new SessionsOptions(), Open(), TimeProvider.System, NullLoggerFactory.Instance), Sessions());
        var id = (await gives.CreateAsync(new SessionState(), default).Soon()).Session!.Id;   // its grain is there
        var turn = await asks.BeginTurnAsync(id, TimeSpan.Zero, null, default).Soon();
        Assert.Equal(BeginOutcome.Begun, turn.Outcome);
        await gives.DisposeAsync();

        // The next activation knows the lease, and takes the commit once, also when it is asked for again.
        Assert.Equal(BeginOutcome.Busy, (await asks.BeginTurnAsync(id, TimeSpan.Zero, null, default).Soon()).Outcome);
        Assert.True(await asks.RenewAsync(id, turn.Lease!).Soon());
        var next = turn.State! with { History = new SessionHistory { Ids = [1, 2] } };
        Assert.Equal(CommitOutcome.Committed, await asks.CommitAsync(id, turn.Lease!, next).Soon());
        Assert.Equal(CommitOutcome.Committed, await asks.CommitAsync(id, turn.Lease!, next).Soon());
        Assert.Equal((1, 1), (await asks.ReadAsync(id, default).Soon() is { } read ? (read.Epoch, read.TurnsTaken) : default));

        await using var waits = Sessions();
        var held = await asks.BeginTurnAsync(id, TimeSpan.Zero, null, default).Soon();
        Assert.Equal(BeginOutcome.Begun, held.Outcome);
        var waiting = waits.BeginTurnAsync(id, TimeSpan.FromMinutes(1), null, default);
        await asks.DisposeAsync();   // without giving the lease back
        Assert.Equal(BeginOutcome.Begun, (await waiting.Soon()).Outcome);
    }

    [RedisFact]
    public async Task Silos_with_certificates_call_each_other_and_nobody_without_calls_them()
    {
        using var authority = new TestAuthority();
        await using var one = Open(authority.Silo("one"));
        await using var two = Open(authority.Silo("two"));
        var (first, second) = (new ClusterDirectory(one), new ClusterDirectory(two));
        await first.JoinAsync(Claim("a"), default).Soon();
        await second.JoinAsync(Claim("b"), default).Soon();   // whichever of them has the grain, the other has called it
        Assert.Equal(2, (await first.ListAsync(default).Soon()).Length);

        var address = (await one.CallAsync(silo => Task.FromResult(silo.Name), default).Soon()).Split('@')[0].TrimStart('S');
        Assert.False(await authority.CanGreetAsync(IPEndPoint.Parse(address), withCertificate: false));
        Assert.True(await authority.CanGreetAsync(IPEndPoint.Parse(address), withCertificate: true));
        using var others = new TestAuthority();
        Assert.False(await others.CanGreetAsync(IPEndPoint.Parse(address), withCertificate: true));
    }

    SessionDirectory Sessions() => new(new SessionsOptions(), Open(), TimeProvider.System, NullLoggerFactory.Instance);

    SiloOwner Open(SiloTls? tls = null) => new(
        StatePlace.TryParse(_server!.Url, out var place, out _) ? place : throw new InvalidOperationException(_server.Url),
        TimeProvider.System, NullLoggerFactory.Instance)
    {
        Tls = tls,
    };

    static ReplicaClaim Claim(string replica) => new(replica, Guid.NewGuid(), "http://127.0.0.1:1", "http://127.0.0.1:2", "", "model", new string('a', 64));
}
