using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How long a group takes for any range of layers, for steps of one load. Sums over layers are computed once.</summary>
sealed class StageTimes
{
    /// <summary>The candidates and the normaliser that a rank sends for each row of logits.</summary>
    const double CandidateBytes = 1024;

    readonly PlanningProblem _problem;
    readonly TimeParts[] _sums;
    readonly long[] _wholeSums;
    readonly TimeParts _head;

    /// <param name="uses">The use of each of the group's hosts.</param>
    public StageTimes(PlanningProblem problem, StageGroup group, StepLoad load, IReadOnlyDictionary<int, HostUse> uses)
    {
        _problem = problem;
        var network = new GroupNetwork(problem.Cluster, problem.Overheads);
        var paces = group.Workers.Select(worker => new RankPace(problem.Cluster, worker, UseOf(worker), problem.Overheads)).ToArray();
        var crowding = group.Workers.Max(worker => UseOf(worker).Crowding);
        HostUse UseOf(int worker) => uses[problem.Cluster.Workers[worker].Host];
        var sums = 2 * network.SumSeconds(group.Workers, load.Rows * problem.Model.HiddenSize * problem.Goal.SumBytes, crowding);
        TimeParts LayerOn(int rank, LayerFootprint layer) => LayerOf(paces[rank], layer, group.Fractions[rank], load) + new TimeParts { Exchange = sums };

        var byKind = problem.Model.LayerKinds.Distinct().ToDictionary(kind => kind, kind => Slowest(group, rank => LayerOn(rank, problem.Model.Layers[kind])));
        (_sums, _wholeSums) = (new TimeParts[problem.Model.LayerCount + 1], new long[problem.Model.LayerCount + 1]);
        foreach (var (layer, kind) in problem.Model.LayerKinds.Index())
            (_sums[layer + 1], _wholeSums[layer + 1]) = (_sums[layer] + byKind[kind], _wholeSums[layer] + byKind[kind].Picoseconds);

        _head = Slowest(group, rank => HeadOf(paces[rank], group.Fractions[rank], load))
            + new TimeParts { Exchange = network.GatherSeconds(group.Workers, load.SampledRows * CandidateBytes, crowding) };
    }

    public TimeParts Of(int first, int count)
    {
        var layers = _sums[first + count] - _sums[first];
        return first + count == _problem.Model.LayerCount ? layers + _head : layers;
    }

    /// <summary>The same in whole picoseconds: a layer has the same time in every range, without rounding errors.</summary>
    public long PicosecondsOf(int first, int count)
    {
        var layers = _wholeSums[first + count] - _wholeSums[first];
        return first + count == _problem.Model.LayerCount ? layers + _head.Picoseconds : layers;
    }

    public long PicosecondsOfLayer(int layer) => _wholeSums[layer + 1] - _wholeSums[layer];

    TimeParts LayerOf(RankPace pace, LayerFootprint layer, RankFractions share, StepLoad load)
    {
        var time = pace.Program(_problem.Overheads.LayerSeconds);
        foreach (var weights in layer.Attention) time += pace.Product(weights, share.Attention, load.Rows);
        foreach (var weights in layer.FeedForward) time += pace.Product(weights, share.FeedForward, load.Rows);
        if (layer.Experts is { } experts)
        {
            foreach (var weights in experts.Shared) time += pace.Product(weights, share.Experts, load.Rows);
            foreach (var weights in experts.UsedBy(load.Rows)) time += pace.Product(weights, share.Experts, experts.RowsOfEach(load.Rows));
        }
        return time + pace.Attend(KvBytes(share, load, layer.Window));
    }

    double KvBytes(RankFractions share, StepLoad load, int? window) =>
        (double)load.Rows * Math.Min(load.Positions, window ?? load.Positions) * _problem.Model.KvPositionBytes * share.Kv;

    TimeParts HeadOf(RankPace pace, RankFractions share, StepLoad load) =>
        pace.Product(_problem.Model.Head, share.Vocabulary, load.SampledRows)
        + pace.Program(load.SampledRows * share.Vocabulary * _problem.Model.Split.VocabularySize * _problem.Overheads.LogitSeconds);

    static TimeParts Slowest(StageGroup group, Func<int, TimeParts> time) =>
        Enumerable.Range(0, group.Workers.Length).Select(time).MaxBy(parts => parts.Total);
}
