using System.Collections.Concurrent;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>Everything that a plan depends on, with sums that are often needed. Immutable, and safe for concurrent use.</summary>
public sealed class PlanningProblem
{
    /// <summary>More ranks exchange more data than they save work, and they would make a search slow.</summary>
    const int MostRanks = 64;

    /// <summary>By the sizes of layers (<see cref="ModelFootprint.Splits"/>), as prefix sums over the layers: element i is of the first i layers.</summary>
    readonly LayerBytes[][] _bytes;

    /// <summary>Which of these sizes a layer has.</summary>
    readonly int[] _sizesOf;

    /// <summary>The most ranks that can have experts by columns, and whole.</summary>
    readonly (int ByColumns, int Whole) _rankLimits;

    readonly ConcurrentDictionary<RankShares, RankPart[]> _parts = new();
    readonly ConcurrentDictionary<(RankShares Shares, int Count, int PerRow, int Rows), ExpertBalance> _balances = new();

    public PlanningProblem(ModelFootprint model, ClusterProfile cluster, PlanGoal goal, Overheads overheads)
    {
        (Model, Cluster, Goal, Overheads) = (model, cluster, goal, overheads);
        _rankLimits = (RankLimitOf(model, wholeExperts: false), RankLimitOf(model, wholeExperts: true));
        MaxRanks = Math.Min(RankLimitOf(model, goal.ExpertParallel), cluster.Workers.Count);
        ExpertCuts = !model.HasExperts ? [false] : goal.ExpertParallel is ExpertParallel.Auto ? [false, true] : [goal.ExpertParallel is ExpertParallel.On];
        _sizesOf = [.. model.Layers.Select(layer => model.Splits.Index().First(split => split.Item == (layer.Split ?? model.Split)).Index)];
        _bytes = [.. model.Splits.Select((_, sizes) => Sums(model.Layers.Select((layer, index) => _sizesOf[index] == sizes ? BytesOf(layer) : default)))];
    }

    public ModelFootprint Model { get; }

    public ClusterProfile Cluster { get; }

    public PlanGoal Goal { get; }

    public Overheads Overheads { get; }

    /// <summary>The most workers of this cluster that may share a stage.</summary>
    public int MaxRanks { get; }

    /// <summary>How plans may give experts to ranks: whole (true), by columns (false).</summary>
    public IReadOnlyList<bool> ExpertCuts { get; }

    /// <summary>The most workers that could share a stage of a model, however many workers there are.</summary>
    public static int RankLimitOf(ModelFootprint model, ExpertParallel experts)
    {
        var (byColumns, whole) = (RankLimitOf(model, wholeExperts: false), RankLimitOf(model, wholeExperts: true));
        return experts switch
        {
            ExpertParallel.On => whole,
            ExpertParallel.Off => byColumns,
            _ => Math.Max(byColumns, whole),
        };
    }

    static int RankLimitOf(ModelFootprint model, bool wholeExperts) => wholeExperts && !model.HasExperts
        ? 0
        : Math.Min(MostRanks, model.Splits.Min(sizes => TensorSplit.MaxRanks(sizes, wholeExperts)));

    /// <summary>The shares with experts given to ranks in one way; in the other where so many ranks cannot have them so.</summary>
    public RankShares WithExperts(RankShares shares, bool whole) =>
        shares.WithExperts(shares.Count <= (whole ? _rankLimits.Whole : _rankLimits.ByColumns) ? whole : !whole);

    /// <summary>The work of the busiest rank where ranks have whole experts.</summary>
    public ExpertBalance BalanceOf(RankShares shares, ExpertFootprint experts, int rows) => _balances.GetOrAdd(
        (shares, experts.Count, experts.UsedCount, rows),
        key => ExpertBalance.Of([.. PartsOf(key.Shares).Select(part => part.ExpertCount)], key.PerRow, key.Rows));

    /// <summary>The part of the model that each rank has.</summary>
    public RankPart[] PartsOf(RankShares shares) => _parts.GetOrAdd(shares, wanted =>
    {
        var splits = Model.Splits.Select(sizes => (Sizes: sizes, Split: TensorSplit.Create(sizes, wanted))).ToList();
        return [.. Enumerable.Range(0, wanted.Count).Select(rank => new RankPart(
            [.. splits.Select(split => RankFractions.Of(split.Split[rank], split.Sizes))], splits[0].Split[rank].Experts.Count))];
    });

    /// <summary>Whether ranks have columns of the same blocks of an expert, and of the one that all rows use: each then costs a message more.</summary>
    public (bool Experts, bool SharedExpert) SharesExpertBlocks(RankShares shares)
    {
        var sizes = Model.Splits[0];
        var split = TensorSplit.Create(sizes, shares);
        return (split.ExpertFfnUnit % sizes.ColumnBlock != 0, split.SharedExpertFfnUnit % sizes.ColumnBlock != 0);
    }

    /// <summary>What a rank has of a layer.</summary>
    public RankFractions FractionsOf(RankPart part, int layer) => part.OfSizes[_sizesOf[layer]];

    /// <summary>The bytes of weights and of one KV block of a range of layers in a rank's memory.</summary>
    public (double Weights, double KvBlock) BytesOf(RankPart part, int first, int count)
    {
        var (weights, kvBlock) = (0.0, 0.0);
        for (var sizes = 0; sizes < _bytes.Length; sizes++)
        {
            var (bytes, share) = (_bytes[sizes][first + count] - _bytes[sizes][first], part.OfSizes[sizes]);
            kvBlock += bytes.KvBlock * share.Kv;
            if (!Model.LayersAreAlike) weights += bytes.Of(share);
            else foreach (var layer in FirstOfEach(sizes, first, count)) weights += BytesOf(Model.Layers[layer]).Of(share);
        }
        return (weights, kvBlock);
    }

    /// <summary>The first dense layer and the first one with experts, of those that have such sizes.</summary>
    IEnumerable<int> FirstOfEach(int sizes, int first, int count) => Enumerable.Range(first, count)
        .Where(layer => _sizesOf[layer] == sizes).DistinctBy(layer => Model.Layers[layer].Experts is not null);

    LayerBytes BytesOf(LayerFootprint layer) =>
        new(layer.AttentionBytes, layer.FeedForwardBytes, layer.Experts?.AllBytes ?? 0, layer.Experts?.SharedBytes ?? 0, layer.NormBytes + layer.AdapterBytes,
            Model.KvBlockBytesOf(layer));

    /// <summary>Prefix sums: element i is the sum of the first i values.</summary>
    static LayerBytes[] Sums(IEnumerable<LayerBytes> values)
    {
        List<LayerBytes> sums = [default];
        foreach (var value in values) sums.Add(sums[^1] + value);
        return [.. sums];
    }
}

/// <summary>Bytes of some layers by their parts.</summary>
/// <param name="Experts">Without those that all rows use.</param>
/// <param name="KvBlock">Of one KV block.</param>
readonly record struct LayerBytes(double Attention, double FeedForward, double Experts, double SharedExperts, double Norms, double KvBlock)
{
    public static LayerBytes operator +(LayerBytes a, LayerBytes b) => new(
        a.Attention + b.Attention, a.FeedForward + b.FeedForward, a.Experts + b.Experts, a.SharedExperts + b.SharedExperts,
        a.Norms + b.Norms, a.KvBlock + b.KvBlock);

    public static LayerBytes operator -(LayerBytes a, LayerBytes b) => new(
        a.Attention - b.Attention, a.FeedForward - b.FeedForward, a.Experts - b.Experts, a.SharedExperts - b.SharedExperts,
        a.Norms - b.Norms, a.KvBlock - b.KvBlock);

    /// <summary>What a rank holds of the weights.</summary>
    public double Of(RankFractions rank) =>
        Attention * rank.Attention + FeedForward * rank.FeedForward + Experts * rank.Experts + SharedExperts * rank.SharedExpert + Norms;
}

/// <summary>What a rank has of a model, by the sizes that layers have (<see cref="ModelFootprint.Splits"/>). Equal by content.</summary>
/// <param name="expertCount">Experts of a layer of which it has something.</param>
public sealed class RankPart(RankFractions[] ofSizes, int expertCount) : IEquatable<RankPart>
{
    public int ExpertCount => expertCount;

    public IReadOnlyList<RankFractions> OfSizes => ofSizes;

    /// <summary>Of the head; the same whatever sizes layers have.</summary>
    public double Vocabulary => ofSizes[0].Vocabulary;

    public bool Equals(RankPart? other) => other is not null && expertCount == other.ExpertCount && ofSizes.AsSpan().SequenceEqual(other.OfSizes.ToArray());

    public override bool Equals(object? obj) => Equals(obj as RankPart);

    public override int GetHashCode() => ofSizes[0].GetHashCode();
}

/// <summary>A rank's part of a layer and of the head, each from 0 to 1.</summary>
/// <param name="Attention">Q, K, V and O together, or what is in their place.</param>
/// <param name="Kv">The KV cache.</param>
/// <param name="Experts">All experts together.</param>
/// <param name="SharedExpert">The one that all rows use.</param>
public readonly record struct RankFractions(double Attention, double Kv, double FeedForward, double Experts, double SharedExpert, double Vocabulary)
{
    public static RankFractions Of(RankSlice slice, SplitSizes model)
    {
        return new RankFractions(
            (double)(slice.Heads.Count + slice.KvHeads.Count + slice.Linear.Count) / Math.Max(1, model.HeadCount + model.KvHeadCount + model.LinearSize),
            (double)slice.KvHeads.Count / Math.Max(1, model.KvHeadCount),
            (double)slice.Ffn.Count / Math.Max(1, model.FfnSize),
            (double)slice.Experts.Count * slice.ExpertFfn.Count / Math.Max(1L, (long)model.ExpertCount * model.ExpertFfnSize),
            (double)slice.SharedExpertFfn.Count / Math.Max(1, model.ExpertFfnSize),
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

    /// <summary>Each expert that a rank computes: its threads waiting for each other.</summary>
    public double ExpertSeconds { get; init; } = 3e-6;

    /// <summary>Bytes that an expert's row moves for each hidden value: gathered, rounded for products, and added to the row's other experts'.</summary>
    public double ExpertRowBytes { get; init; } = 40;

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
