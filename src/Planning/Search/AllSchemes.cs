using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>
/// Enumerates every scheme of a small cluster. Schemes that differ only in the choice among like workers, or like hosts, are listed once. A scheme may
/// leave workers out, unless the goal says otherwise.
/// </summary>
static class AllSchemes
{
    public static IEnumerable<PlanScheme> Of(PlanningProblem problem) =>
        Extend(problem, [], new bool[problem.Cluster.Workers.Count]).Where(scheme => scheme.IsAllowed(problem));

    static IEnumerable<PlanScheme> Extend(PlanningProblem problem, IReadOnlyList<int[]> stages, bool[] used)
    {
        if (stages.Count > 0) yield return new PlanScheme(stages);
        if (stages.Count == problem.Model.LayerCount || (stages.Count > 0 && !PlanScheme.AllowsRanks(problem, stages[^1].Length, isLast: false))) yield break;
        foreach (var group in NextGroups(problem, used))
        {
            var taken = (bool[])used.Clone();
            foreach (var worker in group) taken[worker] = true;
            foreach (var scheme in Extend(problem, [.. stages, group], taken)) yield return scheme;
        }
    }

    static IEnumerable<int[]> NextGroups(PlanningProblem problem, bool[] used)
    {
        foreach (var group in Choose(problem, used, host: 0, [], []))
            if (PlanScheme.AllowsRanks(problem, group.Count, isLast: true)) yield return [.. group];
    }

    /// <param name="picks">What was taken from each earlier host: the number of workers of each of its kinds.</param>
    static IEnumerable<IReadOnlyList<int>> Choose(PlanningProblem problem, bool[] used, int host, IReadOnlyList<int> chosen, IReadOnlyList<int[]> picks)
    {
        var cluster = problem.Cluster;
        if (host == cluster.Hosts.Count)
        {
            yield return chosen;
            yield break;
        }
        var free = cluster.WorkersOf(host).Where(worker => !used[worker])
            .GroupBy(worker => cluster.WorkerKinds[worker]).Select(kind => kind.ToArray()).ToArray();
        var limit = LimitOf(problem, used, host, picks);
        foreach (var pick in Counts([.. free.Select(kind => kind.Length)]))
        {
            if (limit is not null && Compare(pick, limit) > 0) continue;
            var workers = free.SelectMany((kind, index) => kind.Take(pick[index])).Order();
            foreach (var whole in Choose(problem, used, host + 1, [.. chosen, .. workers], [.. picks, pick])) yield return whole;
        }
    }

    /// <summary>Among like hosts of which nothing was used yet, a later one gives no more workers than an earlier one.</summary>
    static int[]? LimitOf(PlanningProblem problem, bool[] used, int host, IReadOnlyList<int[]> picks)
    {
        bool IsWhole(int other) => problem.Cluster.WorkersOf(other).All(worker => !used[worker]);
        if (!IsWhole(host)) return null;
        for (var other = host - 1; other >= 0; other--)
            if (problem.Cluster.HostKinds[other] == problem.Cluster.HostKinds[host] && IsWhole(other)) return picks[other];
        return null;
    }

    /// <summary>All vectors from the given one down to zero. In this order, the first of several like schemes has the workers in their own order.</summary>
    static IEnumerable<int[]> Counts(int[] most)
    {
        if (most.Length == 0) return [[]];
        return Enumerable.Range(0, most[0] + 1).Reverse().SelectMany(first => Counts(most[1..]).Select(rest => (int[])[first, .. rest]));
    }

    static int Compare(int[] a, int[] b)
    {
        for (var i = 0; i < a.Length; i++)
            if (a[i] != b[i]) return a[i].CompareTo(b[i]);
        return 0;
    }
}
