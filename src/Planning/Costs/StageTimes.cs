using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Costs;

/// <summary>How long a group takes for any range of layers, for steps of one load. Sums over layers are computed once.</summary>
sealed class StageTimes
{
    /// <summary>The candidates and the normaliser that a rank sends for each row of logits.</summary>
    const double CandidateBytes = 1024;

    /// <summary>What a rank sends for each row where its first and its last block are shared.</summary>
    const double EdgeBytes = 8;

    readonly PlanningProblem _problem;
    readonly RankShares _shares;

    /// <summary>What ranks exchange where they have columns of the same blocks of an expert: the greatest activation of each.</summary>
    readonly double _blocksOfExpert;
    readonly double _blocksOfSharedExpert;

    readonly TimeParts[] _sums;
    readonly long[] _wholeSums;
    readonly TimeParts _head;

    /// <param name="uses">The use of each of the group's hosts.</param>
    public StageTimes(PlanningProblem problem, StageGroup group, StepLoad load, IReadOnlyDictionary<int, HostUse> uses)
    {
        (_problem, _shares) = (problem, group.Shares);
        var network = new GroupNetwork(problem.Cluster, problem.Overheads);
        var paces = group.Workers.Select(worker => new RankPace(problem.Cluster, worker, UseOf(worker), problem.Overheads)).ToArray();
        var crowding = group.Workers.Max(worker => UseOf(worker).Crowding);
        HostUse UseOf(int worker) => uses[problem.Cluster.Workers[worker].Host];
        var sum = network.SumSeconds(group.Workers, load.Rows * problem.Model.HiddenSize * problem.Goal.SumBytes, crowding);
        if (problem.Model.HasExperts)
        {
            var (experts, shared) = problem.SharesExpertBlocks(group.Shares);
            var blocks = network.GatherSeconds(group.Workers, group.Workers.Length * load.Rows * EdgeBytes, crowding);
            (_blocksOfExpert, _blocksOfSharedExpert) = (experts ? blocks : 0, shared ? blocks : 0);
        }
        TimeParts LayerOn(int rank, int layer)
        {
            var footprint = problem.Model.Layers[layer];
            var part = group.Parts[rank];
            return LayerOf(paces[rank], footprint, problem.FractionsOf(part, layer), part.ExpertCount, load)
                + new TimeParts { Exchange = sum * footprint.SumCount };
        }

        var byKind = problem.Model.LayerKinds.Distinct().ToDictionary(kind => kind, kind => Slowest(group, rank => LayerOn(rank, kind)));
        (_sums, _wholeSums) = (new TimeParts[problem.Model.LayerCount + 1], new long[problem.Model.LayerCount + 1]);
        foreach (var (layer, kind) in problem.Model.LayerKinds.Index())
            (_sums[layer + 1], _wholeSums[layer + 1]) = (_sums[layer] + byKind[kind], _wholeSums[layer] + byKind[kind].Picoseconds);

        _head = Slowest(group, rank => HeadOf(paces[rank], group.Parts[rank], load))
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

    TimeParts LayerOf(RankPace pace, LayerFootprint layer, RankFractions share, int expertCount, StepLoad load)
    {
        var time = pace.Program(_problem.Overheads.LayerSeconds * layer.SumCount / 2);
        foreach (var weights in layer.Attention) time += pace.Product(weights, share.Attention, load.Rows);
        foreach (var weights in layer.FeedForward) time += pace.Product(weights, share.FeedForward, load.Rows);
        if (layer.Experts is { } experts)
        {
            foreach (var weights in experts.Shared) time += pace.Product(weights, share.SharedExpert, load.Rows);
            if (experts.Shared.Count > 0) time += new TimeParts { Exchange = _blocksOfSharedExpert };
            time += OfExperts(pace, experts, share.Experts, expertCount, load.Rows);
        }
        return time + pace.Attend(KvBytes(share, load, layer));
    }

    /// <summary>
    /// The experts that a step uses. By columns, all ranks compute all of them together. Where ranks have whole ones, a rank takes as long as it does
    /// if it is the one with the most work.
    /// </summary>
    /// <param name="share">The rank's part of all experts' weights.</param>
    /// <param name="own">Experts of which the rank has something.</param>
    TimeParts OfExperts(RankPace pace, ExpertFootprint experts, double share, int own, int rows)
    {
        var (used, rowsOfEach) = (experts.ShareUsedBy(rows), experts.RowsOfEach(rows));
        if (_shares.WholeExperts)
        {
            var busiest = _problem.BalanceOf(_shares, experts, rows);
            (used, rowsOfEach) = (busiest.Used, Math.Max(rowsOfEach, busiest.Rows / busiest.Used));
        }
        var time = pace.Program(own * used * _problem.Overheads.ExpertSeconds)
            + pace.Move(own * used * rowsOfEach * _problem.Model.HiddenSize * _problem.Overheads.ExpertRowBytes)
            + new TimeParts { Exchange = own * used * _blocksOfExpert };
        foreach (var weights in experts.All) time += pace.Product(weights, share * used, rowsOfEach);
        return time;
    }

    double KvBytes(RankFractions share, StepLoad load, LayerFootprint layer) =>
        (double)load.Rows * Math.Min(load.Positions, layer.Window ?? load.Positions) * _problem.Model.KvBlockBytesOf(layer) / KvBlock.Positions * share.Kv;

    TimeParts HeadOf(RankPace pace, RankPart share, StepLoad load) =>
        pace.Product(_problem.Model.Head, share.Vocabulary, load.SampledRows)
        + pace.Program(load.SampledRows * share.Vocabulary * _problem.Model.Split.VocabularySize * _problem.Overheads.LogitSeconds);

    static TimeParts Slowest(StageGroup group, Func<int, TimeParts> time) =>
        Enumerable.Range(0, group.Workers.Length).Select(time).MaxBy(parts => parts.Total);
}
