using System.Collections.Immutable;
using System.Net;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Sessions.Tests.Grains;

/// <summary>Who gets the turn of a session where silos die.</summary>
public sealed class TurnLineTests
{
    static readonly SiloAddress Alive = SiloAddress.New(IPAddress.Loopback, 1, 1);
    static readonly SiloAddress Dying = SiloAddress.New(IPAddress.Loopback, 2, 1);

    readonly Members _members = new();
    readonly Leases _leases = new();
    readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Who_died_while_it_waited_gets_no_turn()
    {
        var line = new TurnLine("s", _leases, new LeaseHolders(_members), _time);
        var (_, held) = await line.TakeAsync(() => 1, Asked(Alive), default).Soon();
        var dead = line.TakeAsync(() => 1, Asked(Dying), default);
        var next = line.TakeAsync(() => 1, Asked(Alive), default);
        _members.Kill(Dying);
        await line.ReleaseAsync().Soon();
        Assert.Equal(BeginOutcome.Busy, (await dead.Soon()).Outcome);
        Assert.Equal(BeginOutcome.Begun, (await next.Soon()).Outcome);
        Assert.Equal([held!.Id, (await next).Lease!.Id], _leases.Taken);
    }

    [Fact]
    public async Task The_lease_of_one_that_died_is_over()
    {
        var line = new TurnLine("s", _leases, new LeaseHolders(_members), _time);
        await line.TakeAsync(() => 1, Asked(Dying), default).Soon();
        var next = line.TakeAsync(() => 1, Asked(Alive), default);
        _members.Kill(Dying);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(BeginOutcome.Begun, (await next.Soon()).Outcome);
    }

    static BeginTurn Asked(SiloAddress holder) => new(TimeSpan.FromMinutes(1), null) { Holder = holder.ToParsableString() };

    /// <summary>Leases as one store keeps them.</summary>
    sealed class Leases : ITurnLeases
    {
        string? _held;

        public List<Guid> Taken { get; } = [];

        public Task<string?> ReadAsync(string session) => Task.FromResult(_held);

        public Task<bool> TryTakeAsync(string session, string lease, string? instead, TimeSpan time)
        {
            if (_held is not null && _held != lease && _held != instead) return Task.FromResult(false);
            _held = lease;
            Taken.Add(Guid.Parse(lease.Split(' ')[0]));
            return Task.FromResult(true);
        }

        public Task<bool> TryRenewAsync(string session, string lease, TimeSpan time) => Task.FromResult(_held == lease);

        public Task ReleaseAsync(string session, string lease)
        {
            if (_held == lease) _held = null;
            return Task.CompletedTask;
        }
    }

    sealed class Members : IClusterMembershipService
    {
        public ClusterMembershipSnapshot CurrentSnapshot { get; private set; } = Of([]);

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => AsyncEnumerable.Empty<ClusterMembershipSnapshot>();

        public void Kill(SiloAddress silo) => CurrentSnapshot = Of([silo]);

        public ValueTask Refresh(MembershipVersion minimumVersion = default, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public Task<bool> TryKill(SiloAddress siloAddress) => Task.FromResult(false);

        static ClusterMembershipSnapshot Of(SiloAddress[] dead)
            => new(dead.ToImmutableDictionary(silo => silo, silo => new ClusterMember(silo, SiloStatus.Dead, "dead")), new MembershipVersion(dead.Length));
    }
}
