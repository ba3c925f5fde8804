using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Search;

/// <summary>
/// Schemes of a large cluster in which all stages of one kind of workers have equally many ranks, except a last stage with the remainder. With one kind of
/// workers these are all such schemes. With several kinds they are some, as starting points of a search, and also schemes with equally many ranks in all stages
/// whatever the kinds. Only the latter remain useful where no host is quite like another, for example where every link was measured.
/// </summary>
static class EvenSchemes
{
    /// <summary>With more kinds than this, all stages have equally many ranks.</summary>
    const int MostKinds = 3;

    public static IReadOnlyList<PlanScheme> Of(PlanningProblem problem)
    {
        var kinds = KindsOf(problem);
        IEnumerable<PlanScheme> schemes = kinds.Count == 1
            ? from ranks in RanksOf(problem, kinds[0].Length, all: true)
              from stages in Enumerable.Range(1, Math.Min(problem.Model.LayerCount, DivideUp(kinds[0].Length, ranks)))
              select new PlanScheme([.. Cut(kinds[0], ranks, stages)])
            : OfSeveral(problem, kinds).Concat(OfAnyKinds(problem));
        return [.. schemes.Where(scheme => scheme.IsAllowed(problem))];
    }

    static IEnumerable<PlanScheme> OfSeveral(PlanningProblem problem, IReadOnlyList<int[]> kinds)
    {
        var layers = problem.Model.LayerCount;
        foreach (var ranks in RankVectors(problem, kinds))
        {
            int[] most = [.. kinds.Zip(ranks, (kind, own) => Math.Min(layers, DivideUp(kind.Length, own)))];
            yield return Cut(kinds, ranks, most, layers);
            for (var kind = 0; kind < kinds.Count; kind++)
            {
                yield return Cut(kinds, ranks, [.. most.Select((count, other) => other == kind ? count : 0)], layers);
                foreach (var stages in Steps(most[kind]))
                    yield return Cut(kinds, ranks, [.. most.Select((count, other) => other == kind ? stages : count)], layers);
            }
        }
    }

    /// <summary>Groups of workers that are near each other, with and without the remainder.</summary>
    static IEnumerable<PlanScheme> OfAnyKinds(PlanningProblem problem)
    {
        var workers = HostsByNearness(problem.Cluster).SelectMany(problem.Cluster.WorkersOf).ToArray();
        return from ranks in RanksOf(problem, workers.Length, all: true)
               from stages in new[] { DivideUp(workers.Length, ranks), workers.Length / ranks }.Distinct()
               select new PlanScheme([.. Cut(workers, ranks, Math.Min(stages, problem.Model.LayerCount))]);
    }

    /// <summary>Starts with the first host, and goes on to the nearest host that is left; the first one among equally near ones.</summary>
    static IEnumerable<int> HostsByNearness(ClusterProfile cluster)
    {
        var left = Enumerable.Range(0, cluster.Hosts.Count).ToList();
        for (var host = 0; ;)
        {
            yield return host;
            left.Remove(host);
            if (left.Count == 0) yield break;
            host = left.MinBy(other => cluster.Links.Between(host, other).RoundTripSeconds);
        }
    }

    static IEnumerable<int[]> RankVectors(PlanningProblem problem, IReadOnlyList<int[]> kinds)
    {
        if (kinds.Count > MostKinds)
            return RanksOf(problem, kinds.Max(kind => kind.Length), all: false).Select(ranks => Enumerable.Repeat(ranks, kinds.Count).ToArray());
        IEnumerable<int[]> vectors = [[]];
        foreach (var kind in kinds)
            vectors = vectors.SelectMany(vector => RanksOf(problem, kind.Length, all: false).Select(ranks => (int[])[.. vector, ranks]));
        return vectors;
    }

    static IEnumerable<int> RanksOf(PlanningProblem problem, int workers, bool all)
    {
        if (problem.Goal.RanksPerStage is { } given) return [given];
        var most = Math.Min(problem.MaxRanks, workers);
        return all ? Enumerable.Range(1, most) : Steps(most);
    }

    /// <summary>1, 2, 4, 8... and <paramref name="most"/>.</summary>
    static IEnumerable<int> Steps(int most)
    {
        for (var step = 1; step < most; step *= 2) yield return step;
        if (most > 0) yield return most;
    }

    static int DivideUp(int value, int parts) => (value + parts - 1) / parts;

    /// <summary>No more stages than layers; further stages are dropped.</summary>
    static PlanScheme Cut(IReadOnlyList<int[]> kinds, int[] ranks, int[] stages, int layers) =>
        new([.. kinds.SelectMany((kind, index) => Cut(kind, ranks[index], stages[index])).Take(layers)]);

    static IEnumerable<int[]> Cut(int[] workers, int ranks, int stages) => workers.Chunk(ranks).Take(stages);

    /// <summary>Groups of like workers on like hosts, in the order of hosts.</summary>
    static IReadOnlyList<int[]> KindsOf(PlanningProblem problem)
    {
        var cluster = problem.Cluster;
        return
        [
            .. Enumerable.Range(0, cluster.Workers.Count)
                .GroupBy(worker => (cluster.HostKinds[cluster.Workers[worker].Host], cluster.WorkerKinds[worker]))
                .Select(kind => kind.ToArray()),
        ];
    }
}
