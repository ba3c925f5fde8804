using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Tests.Mapping;

public class PlanMappingTests
{
    [Fact]
    public void ToPlan_OfAPlansBytes_GivesTheSamePlan()
    {
        var plan = PlanBuilder.Plan(33, 2, 1, 3);

        var back = Wire.Plan.Parser.ParseFrom(plan.ToMessage().ToByteArray()).ToPlan();

        Assert.Equal(
            (plan.ViewVersion, plan.ModelName, plan.ModelDigest, plan.LayerCount),
            (back.ViewVersion, back.ModelName, back.ModelDigest, back.LayerCount));
        Assert.Equal(plan.Assignments, back.Assignments);
    }

    [Fact]
    public void ToShard_UnevenShares_TravelInLowestTerms()
    {
        var shard = new Shard(new LayerRange(3, 4), new TensorSlice(1, RankShares.Of(30, 20, 10)));

        var message = Wire.Shard.Parser.ParseFrom(shard.ToMessage().ToByteArray());

        Assert.Equal([3u, 2u, 1u], message.RankShares);
        Assert.Equal(shard, message.ToShard());
    }

    [Fact]
    public void ToShard_WholeExperts_StayWhole()
    {
        var shard = new Shard(new LayerRange(3, 4), new TensorSlice(1, RankShares.Of(2, 1).WithExperts(whole: true)));

        Assert.Equal(shard, Wire.Shard.Parser.ParseFrom(shard.ToMessage().ToByteArray()).ToShard());
    }

    [Fact]
    public void ToPlan_OneFieldWrong_SaysWhichInOneLine()
    {
        Refused("plan.stage_count", plan => plan.StageCount = 9);
        Refused("plan.layer_count", plan => plan.LayerCount = uint.MaxValue);
        Refused("plan.model_name", plan => plan.ModelName = new string('x', 100_000));
        Refused("plan.model_name", plan => plan.ModelName = "two\nlines");
        Refused("plan.assignments", plan => plan.Assignments.Clear());
        Refused("model_digest", plan => plan.ModelDigest = "../..");
        Refused("view_version", plan => plan.ViewVersion = 0);
        Refused("assignment.shard", plan => plan.Assignments[0].Shard = null);
        Refused("assignment.worker_id", plan => plan.Assignments[0].WorkerId = "a/b");
        Refused("assignment.address", plan => plan.Assignments[0].Address = "nowhere");
        Refused("assignment.stage", plan => plan.Assignments[0].Stage = uint.MaxValue);
        Refused("shard.first_layer", plan => plan.Assignments[0].Shard.FirstLayer = uint.MaxValue);
        Refused("shard.layer_count", plan => plan.Assignments[0].Shard.LayerCount = 0);
        Refused("shard.rank", plan => plan.Assignments[0].Shard.Rank = 3);
        Refused("shard.rank_count", plan => plan.Assignments[0].Shard.RankCount = 0);
        Refused("shard.rank_count", plan => plan.Assignments[0].Shard.RankCount = uint.MaxValue);
        Refused("shard.rank_shares has 1 entries, for 2 ranks", plan => plan.Assignments[1].Shard.RankShares.Add(1));
        Refused("shard.rank_shares is 0", plan => plan.Assignments[1].Shard.RankShares.Add([0, 1]));
        Refused("shard.rank_shares", plan => plan.Assignments[1].Shard.RankShares.Add([1, uint.MaxValue]));
        Refused("rank 1 of 2 (1:1 of whole experts)", plan => plan.Assignments[1].Shard.WholeExperts = true);
        Refused("rank 1 of 2", plan => plan.Assignments[1].Shard.RankShares.Add([1, 2]));
    }

    [Fact]
    public void ToPlan_RandomNumbers_IsRefusedOrValid() =>
        Prop.ForAll(Gen.Choose(0, 5).ArrayOf(12).ToArbitrary(), numbers =>
        {
            var message = PlanBuilder.Plan(6, 1, 1).ToMessage();
            message.LayerCount = (uint)numbers[0];
            message.StageCount = (uint)numbers[1];
            foreach (var (assignment, i) in message.Assignments.Select((a, i) => (a, i)))
            {
                assignment.Stage = (uint)numbers[2 + 5 * i];
                assignment.Shard = new Wire.Shard
                {
                    FirstLayer = (uint)numbers[3 + 5 * i],
                    LayerCount = (uint)numbers[4 + 5 * i],
                    Rank = (uint)numbers[5 + 5 * i],
                    RankCount = (uint)numbers[6 + 5 * i],
                };
            }
            try
            {
                var plan = message.ToPlan();
                return plan.Assignments.Where(a => a.Shard.Slice.Rank == 0).Sum(a => a.Shard.Layers.Count) == plan.LayerCount;
            }
            catch (InvalidMessageException)
            {
                return true;
            }
        }).QuickCheckThrowOnFailure();

    static void Refused(string field, Action<Wire.Plan> change)
    {
        var message = PlanBuilder.Plan(6, 1, 2).ToMessage();
        change(message);
        var e = Assert.Throws<InvalidMessageException>(() => message.ToPlan());
        Assert.Contains(field, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }
}
