using System.Collections.Concurrent;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>Everything that a plan depends on, and what of it is often asked for. Immutable, and safe for concurrent use.</summary>
public sealed class PlanningProblem
{
    /// <summary>More ranks exchange more than they gain, and a search would take longer for them.</summary>
    const int MostRanks = 64;

    readonly double[] _attentionBytes, _feedForwardBytes, _normBytes;
    readonly ConcurrentDictionary<RankShares, RankFractions[]> _fractions = new();

    public PlanningProblem(ModelFootprint model, ClusterProfile cluster, PlanGoal goal, Overheads overheads)
    {
        (Model, Cluster, Goal, Overheads) = (model, cluster, goal, overheads);
        SplitSizes = model.SplitSizes;
        RankLimit = Math.Min(MostRanks, TensorSplit.MaxRanks(SplitSizes));
        MaxRanks = Math.Min(RankLimit, cluster.Workers.Count);
        _attentionBytes = Sums(model.Layers.Select(layer => layer.AttentionBytes));
        _feedForwardBytes = Sums(model.Layers.Select(layer => layer.FeedForwardBytes));
        _normBytes = Sums(model.Layers.Select(layer => (double)layer.NormBytes));
    }

    public ModelFootprint Model { get; }

    public ClusterProfile Cluster { get; }

    public PlanGoal Goal { get; }

    public Overheads Overheads { get; }

    public SplitSizes SplitSizes { get; }

    /// <summary>The most workers that may share a stage of this model, if there are so many.</summary>
    public int RankLimit { get; }

    /// <summary>The most of these workers that may share a stage.</summary>
    public int MaxRanks { get; }

    /// <summary>What each rank has.</summary>
    public RankFractions[] FractionsOf(RankShares shares) => _fractions.GetOrAdd(shares, wanted =>
    {
        var split = TensorSplit.Create(SplitSizes, wanted);
        return [.. Enumerable.Range(0, wanted.Count).Select(rank => RankFractions.Of(split[rank], Model.Sizes))];
    });

    /// <summary>What a worker holds of layers' weights.</summary>
    public (double Attention, double FeedForward, double Norms) LayerBytes(int first, int count)
    {
        var end = first + (Model.LayersAreAlike ? Math.Min(1, count) : count);
        return (_attentionBytes[end] - _attentionBytes[first], _feedForwardBytes[end] - _feedForwardBytes[first], _normBytes[end] - _normBytes[first]);
    }

    /// <summary>The sum of those before each, and of all.</summary>
    static double[] Sums(IEnumerable<double> values)
    {
        List<double> sums = [0];
        foreach (var value in values) sums.Add(sums[^1] + value);
        return [.. sums];
    }
}
