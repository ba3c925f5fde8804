using LlamaCluster.Cluster;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Worker.Tests.Peers;

public class GroupShapeTests
{
    static readonly GroupShape Here = Rank(0);

    public static TheoryData<string, Action<RankHello>> Differences => new()
    {
        { $"protocol_version is 99 there and {ProtocolVersion.Current} here", hello => hello.ProtocolVersion = 99 },
        { "view_version is 6 there and 5 here", hello => hello.ViewVersion = 6 },
        { "model_digest is bad there", hello => hello.ModelDigest = "bad" },
        { "stage is 2 there and 1 here", hello => hello.Stage = 2 },
        { "shard is not set", hello => hello.Shard = null },
        { "shard.rank_count is 4 there and 3 here", hello => hello.Shard.RankCount = 4 },
        { "shard.rank is 0, which is not another rank than 0 of 3", hello => hello.Shard.Rank = 0 },
        { "shard.rank is 3, which is not", hello => hello.Shard.Rank = 3 },
        { "shard.rank_shares is 3:1:1 there and 2:1:1 here", hello => hello.Shard.RankShares[0] = 3 },
        { "shard.first_layer is 7 there and 6 here", hello => hello.Shard.FirstLayer = 7 },
        { "shard.layer_count is 1 there and 3 here", hello => hello.Shard.LayerCount = 1 },
        { "hidden_size is 32 there and 64 here", hello => hello.HiddenSize = 32 },
        { "max_step_rows is 1 there and 512 here", hello => hello.MaxStepRows = 1 },
        { "sum_type is Q8 there and F32 here", hello => hello.SumType = ActivationType.Q8 },
    };

    [Fact]
    public void Ranks_of_one_plan_agree()
    {
        Assert.Null(Here.FirstProblem(Rank(1).ToHello(PeerLinkPreference.Auto), rank: null));
        Assert.Null(Here.FirstProblem(Rank(2).ToHello(PeerLinkPreference.Tcp), rank: 2));
        Assert.Equal("shard.rank is 1, which is not 2", Here.FirstProblem(Rank(1).ToHello(PeerLinkPreference.Auto), rank: 2));
    }

    [Theory]
    [MemberData(nameof(Differences))]
    public void What_differs_is_named(string expected, Action<RankHello> change)
    {
        var hello = Rank(1).ToHello(PeerLinkPreference.Auto);
        change(hello);
        Assert.StartsWith(expected, Here.FirstProblem(hello, rank: null));
    }

    static GroupShape Rank(int rank) =>
        new(5, new string('a', 64), 1, new Shard(new LayerRange(6, 3), new TensorSlice(rank, RankShares.Of(2, 1, 1))), 64, 512, ActivationType.F32)
        {
            Key = TestKeys.View,
        };
}
