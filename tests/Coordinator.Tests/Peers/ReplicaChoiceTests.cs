using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Peers;

namespace LlamaCluster.Coordinator.Tests.Peers;

/// <summary>The table of docs/sessions.md: what decides where a request goes.</summary>
public sealed class ReplicaChoiceTests
{
    static readonly ReplicaUse Idle = new(0, 0, 64, 1000, 1000);

    [Theory]
    [InlineData(0, 0, 0, "own")]      // all is equal: no hop
    [InlineData(0, 128, 0, "other")]  // KV is worth a hop
    [InlineData(0, 64, 0, "own")]     // so little is not
    [InlineData(2, 0, 0, "own")]      // little to do here
    [InlineData(3, 0, 0, "other")]    // more
    [InlineData(0, 1000, 3, "other")] // KV is worth some waiting
    [InlineData(0, 1000, 4, "own")]   // but not any
    public void Known_positions_weigh_against_load(int runningHere, int knownThere, int waitingThere, string chosen)
    {
        var own = new ReplicaCandidate(new FakeReplica("own") { Use = Idle with { Running = runningHere } }, IsOwn: true, Known: 0);
        var other = new ReplicaCandidate(new FakeReplica("other") { Use = Idle with { Waiting = waitingThere } }, IsOwn: false, knownThere);
        Assert.Equal(chosen, ReplicaChoice.Order([other, own], 1000).First().Name);
    }

    [Fact]
    public void Those_that_are_not_ready_are_left_out_and_those_that_recover_come_last()
    {
        var (gone, back, well) = (new FakeReplica("gone"), new FakeReplica("back"), new FakeReplica("well") { Use = Idle with { Waiting = 100 } });
        gone.Status = new EngineStatus(false, "gone", 1);
        back.Status = new EngineStatus(false, "soon", 1) { IsRecovering = true };
        Assert.Equal(
            ["well", "back"],
            ReplicaChoice.Order(new IReplica[] { gone, back, well }.Select(replica => new ReplicaCandidate(replica, false, 0)), 100)
                .Select(replica => replica.Name));
    }

    [Fact]
    public void A_full_cache_counts_against_a_replica()
    {
        var full = new ReplicaCandidate(new FakeReplica("full") { Use = Idle with { FreeBlocks = 1 } }, false, 0);
        Assert.Equal(100 + ReplicaChoice.Hop + ReplicaChoice.FullKv, ReplicaChoice.CostOf(full, 100));
        Assert.Equal(1 + ReplicaChoice.Hop, ReplicaChoice.CostOf(full with { Known = 100 }, 100));   // the last position is computed in any case
    }
}
