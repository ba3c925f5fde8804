using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Worker.Peers;

/// <summary>What the ranks of a stage must agree on in one view; each takes it from the same plan.</summary>
/// <param name="Shard">This rank's.</param>
/// <param name="HiddenSize">D: values a row.</param>
/// <param name="MaxStepRows">The most rows that a step brings.</param>
/// <param name="SumType">How partial sums travel.</param>
sealed record GroupShape(ulong ViewVersion, string ModelDigest, int Stage, Shard Shard, int HiddenSize, int MaxStepRows, ActivationType SumType)
{
    /// <summary>What the ranks show each other: the view's.</summary>
    public required PeerKey Key { get; init; }

    public int Rank => Shard.Slice.Rank;

    public int RankCount => Shard.Slice.RankCount;

    public RankHello ToHello(PeerLinkPreference preference) => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        ViewVersion = ViewVersion,
        ModelDigest = ModelDigest,
        Stage = (uint)Stage,
        Shard = Shard.ToMessage(),
        HiddenSize = (uint)HiddenSize,
        MaxStepRows = (uint)MaxStepRows,
        SumType = SumType,
        Link = preference.ToWire(),
    };

    /// <summary>The first field in which another rank's hello differs from this shape, in one line. Null if they agree.</summary>
    /// <param name="rank">The rank that it must come from. Null: any other one of the group.</param>
    public string? FirstProblem(RankHello hello, int? rank)
    {
        if (hello.ProtocolVersion != ProtocolVersion.Current) return Differs("protocol_version", hello.ProtocolVersion, ProtocolVersion.Current);
        if (hello.ViewVersion != ViewVersion) return Differs("view_version", hello.ViewVersion, ViewVersion);
        if (hello.ModelDigest != ModelDigest) return Differs("model_digest", hello.ModelDigest, ModelDigest);
        if (hello.Stage != Stage) return Differs("stage", hello.Stage, Stage);
        if (hello.Shard is null) return "shard is not set";
        if (hello.Shard.RankCount != RankCount) return Differs("shard.rank_count", hello.Shard.RankCount, RankCount);
        if (hello.Shard.Rank >= RankCount || hello.Shard.Rank == Rank || rank is { } expected && hello.Shard.Rank != expected)
            return $"shard.rank is {hello.Shard.Rank}, which is not {(rank is { } one ? one : $"another rank than {Rank} of {RankCount}")}";
        if (hello.Shard.ToShard().Slice.Shares is var shares && !shares.Equals(Shard.Slice.Shares))
            return Differs("shard.rank_shares", shares, Shard.Slice.Shares);
        if (hello.Shard.FirstLayer != Shard.Layers.First) return Differs("shard.first_layer", hello.Shard.FirstLayer, Shard.Layers.First);
        if (hello.Shard.LayerCount != Shard.Layers.Count) return Differs("shard.layer_count", hello.Shard.LayerCount, Shard.Layers.Count);
        if (hello.HiddenSize != HiddenSize) return Differs("hidden_size", hello.HiddenSize, HiddenSize);
        if (hello.MaxStepRows != MaxStepRows) return Differs("max_step_rows", hello.MaxStepRows, MaxStepRows);
        return hello.SumType == SumType ? null : Differs("sum_type", hello.SumType, SumType);
    }

    static string Differs<TTheirs, TOurs>(string field, TTheirs theirs, TOurs ours) => $"{field} is {theirs} there and {ours} here";
}
