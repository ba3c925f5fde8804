using System.Collections.Concurrent;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>Everything that a plan depends on, with sums that are often needed. Immutable, and safe for concurrent use.</summary>
public sealed class PlanningProblem
{
    /// <summary>More ranks exchange more data than they save work, and they would make a search slow.</summary>
    const int MostRanks = 64;

    readonly double[] _attentionBytes, _feedForwardBytes, _expertBytes, _normBytes;
    readonly ConcurrentDictionary<RankShares, RankFractions[]> _fractions = new();

    public PlanningProblem(ModelFootprint model, ClusterProfile cluster, PlanGoal goal, Overheads overheads)
    {
        (Model, Cluster, Goal, Overheads) = (model, cluster, goal, overheads);
        MaxRanks = Math.Min(RankLimitOf(model), cluster.Workers.Count);
        _attentionBytes = Sums(model.Layers.Select(layer => layer.AttentionBytes));
        _feedForwardBytes = Sums(model.Layers.Select(layer => layer.FeedForwardBytes));
        _expertBytes = Sums(model.Layers.Select(layer => layer.Experts?.Bytes ?? 0));
        _normBytes = Sums(model.Layers.Select(layer => (double)layer.NormBytes));
    }

    public ModelFootprint Model { get; }

    public ClusterProfile Cluster { get; }

    public PlanGoal Goal { get; }

    public Overheads Overheads { get; }

    /// <summary>The most workers of this cluster that may share a stage.</summary>
    public int MaxRanks { get; }

    /// <summary>The most workers that could share a stage of a model, however many workers there are.</summary>
    public static int RankLimitOf(ModelFootprint model) => Math.Min(MostRanks, TensorSplit.MaxRanks(model.Split));

    /// <summary>The part of the model that each rank has.</summary>
    public RankFractions[] FractionsOf(RankShares shares) => _fractions.GetOrAdd(shares, wanted =>
    {
        var split = TensorSplit.Create(Model.Split, wanted);
        return [.. Enumerable.Range(0, wanted.Count).Select(rank => RankFractions.Of(split[rank], Model.Split))];
    });

    /// <summary>The bytes of a range of layers in a worker's memory.</summary>
    public LayerBytes LayerBytes(int first, int count)
    {
        if (!Model.LayersAreAlike) return BytesBetween(first, first + count);
        var (dense, experts) = (FirstOf(first, count, hasExperts: false), FirstOf(first, count, hasExperts: true));
        return (dense is { } d ? BytesBetween(d, d + 1) : default) + (experts is { } e ? BytesBetween(e, e + 1) : default);
    }

    LayerBytes BytesBetween(int first, int end) => new(
        _attentionBytes[end] - _attentionBytes[first], _feedForwardBytes[end] - _feedForwardBytes[first], _expertBytes[end] - _expertBytes[first],
        _normBytes[end] - _normBytes[first]);

    int? FirstOf(int first, int count, bool hasExperts)
    {
        for (var layer = first; layer < first + count; layer++)
            if (Model.Layers[layer].Experts is not null == hasExperts) return layer;
        return null;
    }

    /// <summary>Prefix sums: element i is the sum of the first i values.</summary>
    static double[] Sums(IEnumerable<double> values)
    {
        List<double> sums = [0];
        foreach (var value in values) sums.Add(sums[^1] + value);
        return [.. sums];
    }
}

/// <summary>Bytes of some layers by their parts.</summary>
public readonly record struct LayerBytes(double Attention, double FeedForward, double Experts, double Norms)
{
    public static LayerBytes operator +(LayerBytes a, LayerBytes b) =>
        new(a.Attention + b.Attention, a.FeedForward + b.FeedForward, a.Experts + b.Experts, a.Norms + b.Norms);

    /// <summary>What a rank holds of them.</summary>
    public double Of(RankFractions rank) => Attention * rank.Attention + FeedForward * rank.FeedForward + Experts * rank.Experts + Norms;
}

/// <summary>A rank's part of a model, each from 0 to 1.</summary>
/// <param name="Attention">Q, K, V and O together.</param>
/// <param name="Kv">The KV cache.</param>
/// <param name="Experts">Every expert.</param>
public readonly record struct RankFractions(double Attention, double Kv, double FeedForward, double Experts, double Vocabulary)
{
    public static RankFractions Of(RankSlice slice, SplitSizes model)
    {
        var (heads, kvHeads) = ((double)model.HeadCount, (double)model.KvHeadCount);
        return new RankFractions(
            (slice.Heads.Count + slice.KvHeads.Count) / (heads + kvHeads),
            slice.KvHeads.Count / kvHeads,
            (double)slice.Ffn.Count / model.FfnSize,
            (double)slice.ExpertFfn.Count / Math.Max(1, model.ExpertFfnSize),
            (double)slice.Vocabulary.Count / model.VocabularySize);
    }
}

/// <summary>
/// What the programs themselves add to the times of processors, memory and network. The defaults were fitted to runs of this release on
/// one machine with two processors (docs/scaling.md says how and how well). They differ between machines far less than bandwidths do.
/// </summary>
public sealed record Overheads
{
    /// <summary>The share of a plain read's bandwidth at which products would read weights if processors took no time.</summary>
    public double WeightReading { get; init; } = 0.97;

    /// <summary>The share of a plain read's bandwidth at which attention reads keys and values.</summary>
    public double KvReading { get; init; } = 0.5;

    /// <summary>A layer's norms and rotations, and its threads waiting for each other.</summary>
    public double LayerSeconds { get; init; } = 20e-6;

    /// <summary>The cost of a token's logits beyond the head's product, for each vocabulary entry.</summary>
    public double LogitSeconds { get; init; } = 0.3e-9;

    /// <summary>Scheduling a step, sending it to the workers and receiving the result, over the shortest link.</summary>
    public double StepSeconds { get; init; } = 1e-3;

    /// <summary>Handing activations from a stage to the next, beyond the network: the sender's and the receiver's work.</summary>
    public double HopSeconds { get; init; } = 1e-3;

    /// <summary>One exchange between ranks, beyond the network; it includes waiting for the slower rank.</summary>
    public double ExchangeSeconds { get; init; } = 50e-6;

    /// <summary>Each further peer that a rank of a larger group exchanges with.</summary>
    public double PeerSeconds { get; init; } = 8e-6;

    /// <summary>Resident bytes for each stored byte of weights: packing aligns and pads.</summary>
    public double Resident { get; init; } = 1.05;
}
