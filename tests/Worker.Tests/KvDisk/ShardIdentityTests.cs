using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.KvDisk;

public class ShardIdentityTests
{
    const string Usual = "0-6";

    [Fact]
    public void Identity_OfTheSameLayersAfterAnyNumberOfStages_IsTheSame() =>
        Assert.Equal(Of("0-3,3-6", last: true), Of("0-1,1-2,2-3,3-6", last: true));

    [Theory]
    [InlineData("0-6/2")]
    [InlineData("0-5,5-6")]
    [InlineData("0-6/2w")]
    public void Identity_OfOtherLayersOrAnotherSlice_IsAnother(string plan) => Assert.NotEqual(Of(Usual), Of(plan));

    [Fact]
    public void Identity_AfterAStageThatRanksShare_IsAnother()
    {
        Assert.NotEqual(Of("0-3,3-6", last: true), Of("0-3/2,3-6", last: true));
        Assert.NotEqual(Of("0-3/2w,3-6", last: true), Of("0-3/2,3-6", last: true));
        Assert.Equal(Of("0-3/2,3-4,4-6", last: true), Of("0-3/2,3-4,4-6", last: true));
        Assert.NotEqual(Of("0-3/2,3-6", last: true), Of("0-2/2,2-6", last: true));
        Assert.NotEqual(Of("0-3/2,3-6", last: true), Of("0-3/2,3-6", last: true, change: request => request.SumType = Wire.ActivationType.Q8));
    }

    [Fact]
    public void Identity_WhereActivationsAreRounded_KnowsWhere()
    {
        static void Round(Wire.AssignRequest request) => request.ActivationType = Wire.ActivationType.Bf16;
        Assert.NotEqual(Of("0-3,3-6", last: true), Of("0-3,3-6", last: true, Round));
        Assert.NotEqual(Of("0-3,3-6", last: true, Round), Of("0-1,1-3,3-6", last: true, Round));
        Assert.Equal(Of("0-3,3-6", change: Round), Of("0-3,3-4,4-6", change: Round));   // what comes after it does not matter
    }

    [Fact]
    public void Identity_OfAnotherModelOrKvType_IsAnother()
    {
        Assert.NotEqual(Of(Usual), Of(Usual, digest: new string('a', 64)));
        Assert.NotEqual(Of(Usual), Of(Usual, change: request => request.KvType = Wire.KvType.Q80));
        Assert.Equal(Of(Usual), Of(Usual, change: request => request.MaxStepRows = 7));
        Assert.NotEqual(Of(Usual), ShardIdentity.Of(OrderOf(Usual, false, null, null), hasExperts: true));   // whose arithmetic has changed once
    }

    /// <summary>Neither KV nor weights of ranks with whole experts are taken for those of ranks with columns.</summary>
    [Fact]
    public void Identity_OfRanksWithWholeExperts_IsAnother()
    {
        Assert.NotEqual(Of("0-6/2"), Of("0-6/2w"));
        Assert.Equal(Of("0-6/2w"), Of("0-6/2w"));
        Assert.NotEqual(NumbersOf("0-6/2"), NumbersOf("0-6/2w"));
    }

    [Fact]
    public void Identity_OfEachRank_IsItsOwn() => Assert.NotEqual(Of("0-6/2"), Of("0-6/2", last: true));

    /// <summary>Layers that move from one stage to another keep their numbers, unless something is rounded or added up otherwise before them.</summary>
    [Fact]
    public void Numbers_OfOtherLayers_AreTheSameWhereNothingIsRounded()
    {
        static void Round(Wire.AssignRequest request) => request.ActivationType = Wire.ActivationType.Bf16;
        Assert.Equal(NumbersOf("0-3,3-6", last: true), NumbersOf("0-5,5-6", last: true));
        Assert.NotEqual(NumbersOf("0-3,3-6", last: true, Round), NumbersOf("0-5,5-6", last: true, Round));
        Assert.Equal(NumbersOf("0-3,3-6", last: true, Round), NumbersOf("0-3,3-6", last: true, Round));
        Assert.NotEqual(NumbersOf("0-3,3-6/2", last: true), NumbersOf("0-5,5-6/2", last: true));
        Assert.NotEqual(NumbersOf("0-6"), NumbersOf("0-6/2"));
        Assert.NotEqual(NumbersOf("0-6"), NumbersOf("0-6", change: request => request.KvType = Wire.KvType.Q80));
        Assert.NotEqual(NumbersOf("0-6"), NumbersOf("0-6", digest: new string('a', 64)));
    }

    static ShardIdentity Of(string plan, bool last = false, Action<Wire.AssignRequest>? change = null, string? digest = null) =>
        ShardIdentity.Of(OrderOf(plan, last, change, digest));

    static ShardIdentity NumbersOf(string plan, bool last = false, Action<Wire.AssignRequest>? change = null, string? digest = null) =>
        ShardIdentity.OfNumbers(OrderOf(plan, last, change, digest));

    /// <param name="plan">Stages: first layer, the one after the last, ranks, and "w" where these have whole experts.</param>
    /// <param name="last">The order for the last worker; else for the first.</param>
    static LoadOrder OrderOf(string plan, bool last, Action<Wire.AssignRequest>? change, string? digest)
    {
        List<ShardAssignment> parts = [];
        foreach (var (stage, text) in plan.Split(',').Index())
        {
            var numbers = text.TrimEnd('w').Split('-', '/').Select(int.Parse).ToArray();
            var ranks = numbers.Length > 2 ? numbers[2] : 1;
            var shares = RankShares.Equal(ranks).WithExperts(whole: text.EndsWith('w'));
            for (var rank = 0; rank < ranks; rank++)
                parts.Add(new ShardAssignment(
                    new WorkerId($"w{parts.Count}"), new Uri($"http://127.0.0.1:{7000 + parts.Count}"), stage,
                    new Shard(new LayerRange(numbers[0], numbers[1] - numbers[0]), new TensorSlice(rank, shares))));
        }
        var request = TestPipeline.Assignment(ClusterPlan.Create(1, "test", digest ?? new string('e', 64), 6, parts), last ? parts.Count - 1 : 0, "/model");
        change?.Invoke(request);
        return request.ToOrder();
    }
}
