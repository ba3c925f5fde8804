using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Orders;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>
/// Everything beside the tokens that decides which bytes a KV block of a shard has. Shards of the same identity can use each other's blocks. Layers
/// and slice decide what a block is of. The model's digest and the KV type decide its numbers, and so does what the workers of the stages before round
/// differently: another split among ranks, or activations that are rounded on the way from stage to stage.
/// </summary>
/// <param name="Text">For people.</param>
sealed record ShardIdentity(string Text)
{
    /// <param name="hasExperts">The model has experts, whose outputs earlier releases rounded otherwise: what those kept has other last bits.</param>
    public static ShardIdentity Of(LoadOrder order, bool hasExperts = false)
    {
        var layers = order.Assignment.Shard.Layers;
        return Of(order, $"layers {layers.First} + {layers.Count} of {order.Plan.LayerCount}{(hasExperts ? ", experts rounded apart" : "")}");
    }

    /// <summary>The same without the shard's layers: what decides the numbers of a layer that two shards have in common.</summary>
    public static ShardIdentity OfNumbers(LoadOrder order) => Of(order, $"layers of {order.Plan.LayerCount}");

    static ShardIdentity Of(LoadOrder order, string which)
    {
        var (plan, shard) = (order.Plan, order.Assignment.Shard);
        List<string> facts = [$"model {plan.ModelDigest}", KvFact(order.KvType), which, $"rank {shard.Slice.Rank} of {shard.Slice.Shares}"];
        // Numbers are the same for any number of stages, unless activations are rounded between them.
        var rounded = order.ActivationType != ActivationType.F32;
        var split = false;
        for (var stage = 0; stage <= order.Assignment.Stage; stage++)
        {
            var (layers, slice) = plan.Ranks(stage)[0].Shard;
            if (rounded || !slice.IsWhole) facts.Add($"stage of {layers}, shares {slice.Shares}");
            split |= !slice.IsWhole;
        }
        if (rounded) facts.Add($"activations {order.ActivationType}");
        if (split) facts.Add($"sums {order.SumType}");
        return new ShardIdentity(string.Join('\n', facts));
    }

    /// <remarks>First arrangements have no number: the blocks of earlier releases keep their folders.</remarks>
    static string KvFact(Kernels.Attention.KvType type) =>
        KvBlockLayout.RevisionOf(type) is > 1 and var revision ? $"kv {type}, arrangement {revision}" : $"kv {type}";

    public byte[] Hash => SHA256.HashData(Encoding.UTF8.GetBytes(Text));

    /// <summary>64 digits of hex.</summary>
    public string FolderName => Convert.ToHexStringLower(Hash);
}
