using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Search;

/// <summary>Makes groups of workers. Ranks that are not alike get shares by their pace, or by their memory. Not safe for concurrent use.</summary>
sealed class StageGroups(PlanningProblem problem)
{
    const int FinestShare = 1000;

    readonly Dictionary<string, RankShares> _shares = [];
    readonly Dictionary<(int Worker, int Host), double> _paces = [];

    /// <param name="byMemory">Shares are in proportion to memory in place of pace.</param>
    /// <param name="wholeExperts">Ranks have whole experts, where so many can.</param>
    public StageGroup Of(int[] workers, bool byMemory, bool wholeExperts)
    {
        var kind = problem.Cluster.GroupKindOf(workers);
        var key = $"{kind} {byMemory}";
        if (!_shares.TryGetValue(key, out var shares)) _shares[key] = shares = SharesOf(workers, byMemory);
        return new StageGroup(problem, workers, problem.WithExperts(shares, wholeExperts), kind);
    }

    RankShares SharesOf(int[] workers, bool byMemory)
    {
        var weights = workers.Select(worker => byMemory ? MemoryOf(worker) : PaceOf(worker)).ToArray();
        var most = weights.Max();
        return most > 0 && weights.Distinct().Count() > 1
            ? RankShares.Of([.. weights.Select(own => (int)Math.Clamp(Math.Round(FinestShare * own / most), 1, FinestShare))])
            : RankShares.Equal(workers.Length);
    }

    double MemoryOf(int worker) => Math.Max(0, problem.Cluster.Workers[worker].MemoryBytes - (double)problem.Goal.BufferBytes);

    /// <summary>Layers per picosecond of a worker that is alone on its host, at the goal's load.</summary>
    double PaceOf(int worker)
    {
        var cluster = problem.Cluster;
        var kind = (cluster.WorkerKinds[worker], cluster.HostKinds[cluster.Workers[worker].Host]);
        return _paces.TryGetValue(kind, out var known) ? known : _paces[kind] = NewPaceOf(worker);
    }

    double NewPaceOf(int worker)
    {
        var rows = problem.Goal.Objective == PlanObjective.Throughput ? problem.Goal.Concurrency : 1;
        var alone = new StageGroup(problem, [worker], RankShares.Whole, kind: "");
        var uses = HostUse.Of(problem.Cluster, [alone.Workers], stepsInFlight: 1);
        return 1.0 / new StageTimes(problem, alone, StepLoad.Decode(rows, problem.Goal.Positions), uses).PicosecondsOfLayer(0);
    }
}
