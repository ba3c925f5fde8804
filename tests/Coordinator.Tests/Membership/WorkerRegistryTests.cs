using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Coordinator.Tests.Membership;

public sealed class WorkerRegistryTests : IDisposable
{
    static readonly ClusterDeadlines Deadlines = new() { HeartbeatInterval = TimeSpan.FromSeconds(1), HeartbeatTimeout = TimeSpan.FromSeconds(5) };

    readonly ManualTimeProvider _time = new();
    readonly WorkerRegistry _registry;

    public WorkerRegistryTests()
        => _registry = new WorkerRegistry(Deadlines, ClusterOwnership.Take(null), new Pulse(_time), _time, NullLogger<WorkerRegistry>.Instance);

    public void Dispose() => _registry.Dispose();

    [Fact]
    public void A_worker_counts_from_its_first_heartbeat()
    {
        var worker = Register("a");
        Assert.Empty(_registry.Snapshot.Usable);
        Assert.True(Beat(worker.Id));
        Assert.Equal([worker.Id], _registry.Snapshot.Usable.Select(member => member.Id));
    }

    [Fact]
    public void Ids_are_never_used_again()
        => Assert.Equal(3, new[] { Register("a"), Register("a"), Register("b") }.Select(member => member.Id).Distinct().Count());

    [Fact]
    public void Without_heartbeats_a_worker_is_lost_after_the_timeout_and_not_before()
    {
        var worker = Register("a");
        _time.Advance(TimeSpan.FromSeconds(4));
        Beat(worker.Id);
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal(MemberState.Alive, _registry.Snapshot.Find(worker.Id)!.State);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(
            (MemberState.Lost, "nothing was heard of it for 5 s"),
            (_registry.Snapshot.Find(worker.Id)!.State, _registry.Snapshot.Find(worker.Id)!.Loss));
    }

    [Fact]
    public void One_that_never_sends_a_heartbeat_is_lost_too()
    {
        var worker = Register("a");
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(_registry.Snapshot.Find(worker.Id)!.IsLost);
    }

    [Fact]
    public void A_lost_worker_does_not_come_back_under_its_id()
    {
        var worker = Register("a");
        _registry.MarkLost(worker.Id, "gone");
        Assert.False(Beat(worker.Id));
        Assert.True(_registry.Snapshot.Find(worker.Id)!.IsLost);
    }

    [Fact]
    public void An_unknown_worker_has_to_register() => Assert.False(Beat(new WorkerId("w99")));

    [Fact]
    public void A_second_process_at_an_address_takes_the_place_of_the_first()
    {
        var (older, newer) = (Register("a", "http://127.0.0.1:1000"), Register("b", "http://127.0.0.1:1000"));
        Assert.True(_registry.Snapshot.Find(older.Id)!.IsLost);
        Assert.Contains(newer.Id.Value, _registry.Snapshot.Find(older.Id)!.Loss);
        Assert.Equal(MemberState.Joining, _registry.Snapshot.Find(newer.Id)!.State);
    }

    [Fact]
    public void Who_wants_to_leave_is_in_no_new_plan()
    {
        var worker = Register("a");
        Beat(worker.Id);
        Assert.True(_registry.TryDrain(worker.Id));
        Beat(worker.Id);
        Assert.Empty(_registry.Snapshot.Usable);
        Assert.False(_registry.TryDrain(new WorkerId("w99")));
    }

    [Fact]
    public void The_view_version_only_grows()
    {
        var worker = Register("a");
        var before = _registry.Snapshot.ViewVersion;
        _registry.Adopt(PlanFor(worker, before + 7));
        Assert.Throws<InvalidOperationException>(() => _registry.Adopt(PlanFor(worker, before + 7)));
        _registry.Dismiss();
        Assert.Null(_registry.Snapshot.Plan);
        Assert.Equal(before + 7, _registry.Snapshot.ViewVersion);
    }

    [Fact]
    public void Who_could_not_be_heard_because_the_coordinator_was_frozen_is_not_lost()
    {
        var worker = Register("a");
        Beat(worker.Id);
        _time.Freeze(TimeSpan.FromSeconds(20));
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(_registry.Snapshot.Find(worker.Id)!.IsLost);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal("nothing was heard of it for 5 s", _registry.Snapshot.Find(worker.Id)!.Loss);
    }

    [Fact]
    public void A_stream_that_ended_while_the_coordinator_was_frozen_may_be_taken_up_again()
    {
        var worker = Register("a", instance: "1");
        Beat(worker.Id);
        _time.Freeze(TimeSpan.FromSeconds(20));
        _registry.HeartbeatsEnded(worker.Id, worker.Key);
        Assert.False(_registry.Snapshot.Find(worker.Id)!.IsLost);

        var again = Register("a", instance: "1");
        Assert.Equal((worker.Id, MemberState.Alive), (again.Id, again.State));
        Assert.True(_registry.IsKeyOf(again.Id, again.Key.ToHeaders().GetValue(PeerKey.Header)));
        Assert.False(_registry.IsKeyOf(again.Id, worker.Key.ToHeaders().GetValue(PeerKey.Header)));

        _time.Advance(TimeSpan.FromSeconds(4));
        Beat(again.Id);
        _registry.HeartbeatsEnded(again.Id, worker.Key);   // the end of the old stream means nothing any more
        Assert.False(_registry.Snapshot.Find(worker.Id)!.IsLost);
        _time.Advance(TimeSpan.FromSeconds(2));
        _registry.HeartbeatsEnded(again.Id, again.Key);
        Assert.Equal("its heartbeat stream ended", _registry.Snapshot.Find(worker.Id)!.Loss);
    }

    [Fact]
    public void Workers_that_cannot_be_reached_are_named_until_they_are_or_give_up()
    {
        for (var i = 0; i < 2 * WorkerRegistry.MaxUnreachable; i++) _registry.NoteUnreachable($"a{i}", new Uri($"http://127.0.0.1:{1000 + i}"), "refused");
        Assert.Equal(WorkerRegistry.MaxUnreachable, _registry.Snapshot.Unreachable.Length);
        var last = _registry.Snapshot.Unreachable[^1];
        Register(last.Name, PeerAddress.Format(last.Address));
        Assert.DoesNotContain(last, _registry.Snapshot.Unreachable);
        _time.Advance(WorkerRegistry.UnreachableFor);
        Assert.Empty(_registry.Snapshot.Unreachable);   // without anybody's doing
        _registry.NoteUnreachable("b", new Uri("http://127.0.0.1:1"), "refused");
        Assert.Equal("worker b cannot be reached at http://127.0.0.1:1: refused; start it with --listen and an address that the coordinator reaches",
            Assert.Single(_registry.Snapshot.Unreachable).ToString());
    }

    [Fact]
    public void Only_some_of_the_lost_are_remembered()
    {
        for (var i = 0; i < 3 * WorkerRegistry.MaxLost; i++) _registry.MarkLost(Register($"a{i}", $"http://127.0.0.1:{1000 + i}").Id, "gone");
        Assert.Equal(WorkerRegistry.MaxLost, _registry.Snapshot.Members.Length);
        Assert.Equal(1, _time.SetTimers);   // the pulse's
    }

    [Fact]
    public void There_is_a_bound_on_registrations()
    {
        for (var i = 0; i < WorkerRegistry.MaxMembers; i++) Register($"a{i}", $"http://127.0.0.1:{1 + i}");
        Assert.Null(_registry.Register(id => new Member(id, "late", new Uri("http://127.0.0.1:9999")) { Key = PeerKey.Create() }));
    }

    [Fact]
    public async Task News_wakes_who_waits()
    {
        var worker = Register("a");
        var lost = _registry.WaitAsync(now => now.FindPresent(worker.Id) is null, CancellationToken.None);
        Assert.False(lost.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(5));
        await lost.Soon();
    }

    Member Register(string name, string address = "http://127.0.0.1:1234", string instance = "")
    {
        var key = PeerKey.Create();
        return _registry.Register(id => new Member(id, name, new Uri(address)) { Key = key, InstanceId = instance })!;
    }

    bool Beat(WorkerId id) => _registry.TryBeat(id, WorkerState.Idle);

    static ClusterPlan PlanFor(Member worker, ulong view) => ClusterPlan.Create(
        view, "model", new string('0', 64), 1, [new ShardAssignment(worker.Id, worker.Address, 0, new Shard(new LayerRange(0, 1), TensorSlice.Whole))]);
}
