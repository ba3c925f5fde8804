using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Tests.Supervision;

/// <summary>Twelve layers of workers a, b, c and d.</summary>
public sealed class KvMovesTests
{
    const int Layers = 12;

    static readonly ClusterPlan Last = PlanOf(1, ("a", 4), ("b", 4), ("c", 4));

    [Fact]
    public void Who_takes_a_place_gets_all_of_it() => Assert.Equal(["b 4+4 to d"], Between(PlanOf(2, ("a", 4), ("d", 4), ("c", 4))));

    [Fact]
    public void Layers_that_move_bring_what_they_have() =>
        Assert.Equal(["b 4+1 to a", "c 8+1 to b", "c 9+3 to d"], Between(PlanOf(2, ("a", 5), ("b", 4), ("d", 3))));

    [Fact]
    public void Nothing_moves_where_all_stay() => Assert.Empty(Between(PlanOf(2, ("a", 4), ("b", 4), ("c", 4))));

    [Theory]
    [InlineData("lost")]
    [InlineData("suspected")]
    public void Who_does_not_answer_is_not_asked(string how)
    {
        var next = PlanOf(2, ("a", 4), ("d", 4), ("c", 4));
        Assert.Empty(Between(
            next,
            member => member.Name != "b" ? member : how == "lost" ? member with { State = MemberState.Lost } : member with { IsSuspected = true }));
        Assert.Equal(["b 4+4 to d"], Between(next, member => member.Name != "b" ? member : member with { State = MemberState.Draining }));
    }

    [Fact]
    public void Another_share_of_a_layer_is_of_no_use()
    {
        var last = PlanOf(1, 2, "a", "b");
        Assert.Equal(["b 0+12 to c"], Of(last, PlanOf(2, 2, "a", "c")));
        Assert.Equal(["a 0+12 to b", "b 0+12 to a"], Of(last, PlanOf(2, 2, "b", "a")).Order());
        Assert.Empty(Of(last, PlanOf(2, 3, "a", "b", "c")));
        Assert.Empty(Of(last, PlanOf(2, ("c", 12))));
    }

    [Fact]
    public void Sources_and_their_keys_are_told_to_those_that_fetch()
    {
        var now = Snapshot(member => member);
        var moves = new KvMoves(KvMoves.Between(Last, PlanOf(2, ("a", 5), ("b", 4), ("d", 3)), now), new FullBlocks([3, 1], 1), TimeSpan.FromSeconds(3));
        var source = Assert.Single(moves.SourcesOf(new WorkerId("d")));
        Assert.Equal(("c", "http://c:1", 9u, 3u), (source.WorkerId, source.Address, source.FirstLayer, source.LayerCount));
        Assert.True(now.Find(new WorkerId("c"))!.Key.For(PeerKey.KvTransfer).IsSame(PeerKey.Read("key", source.Key)));
        Assert.Equal([false, true, true, false], "abcd".Select(name => moves.IsSource(new WorkerId($"{name}"))));
        Assert.Empty(moves.SourcesOf(new WorkerId("c")));
    }

    static IEnumerable<string> Between(ClusterPlan next, Func<Member, Member>? change = null) => Of(Last, next, change);

    static IEnumerable<string> Of(ClusterPlan last, ClusterPlan next, Func<Member, Member>? change = null) =>
        KvMoves.Between(last, next, Snapshot(change ?? (member => member)))
            .Select(move => $"{move.From.Name} {move.Layers.First}+{move.Layers.Count} to {move.To}");

    static MembershipSnapshot Snapshot(Func<Member, Member> change) => new(
        1,
        [.. "abcd".Select(name => change(
            new Member(new WorkerId($"{name}"), $"{name}", new Uri($"http://{name}:1")) { Key = PeerKey.Create(), State = MemberState.Alive }))],
        null);

    static ClusterPlan PlanOf(ulong view, params (string Worker, int Layers)[] stages)
    {
        var first = 0;
        return Create(view, [.. stages.Index().Select(stage => new ShardAssignment(
            new WorkerId(stage.Item.Worker), new Uri($"http://{stage.Item.Worker}:1"), stage.Index,
            new Shard(new LayerRange((first += stage.Item.Layers) - stage.Item.Layers, stage.Item.Layers), TensorSlice.Whole)))]);
    }

    static ClusterPlan PlanOf(ulong view, int ranks, params string[] workers) => Create(view, [.. workers.Index().Select(worker => new ShardAssignment(
        new WorkerId(worker.Item), new Uri($"http://{worker.Item}:1"), 0, new Shard(new LayerRange(0, Layers), new TensorSlice(worker.Index, ranks))))]);

    static ClusterPlan Create(ulong view, ShardAssignment[] parts) => ClusterPlan.Create(view, "m", new string('e', ModelIdentity.DigestLength), Layers, parts);
}
