using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>Lists the neighbours of a scheme: schemes that differ from it in one or two stages.</summary>
static class SchemeMoves
{
    /// <summary>The neighbours that the goal allows. Those that differ only in the choice among like workers are listed once.</summary>
    public static IEnumerable<PlanScheme> From(PlanScheme scheme, PlanningProblem problem)
    {
        HashSet<string> seen = [KeyOf(scheme.Stages, problem)];
        foreach (var stages in All(scheme.Stages, Unused(scheme, problem)))
            if (new PlanScheme(stages) is var near && near.IsAllowed(problem) && seen.Add(KeyOf(stages, problem))) yield return near;
    }

    static IEnumerable<IReadOnlyList<int[]>> All(IReadOnlyList<int[]> stages, IReadOnlyList<int> unused)
    {
        for (var i = 0; i < stages.Count; i++)
        {
            var (own, half) = (stages[i], stages[i].Length / 2);
            yield return Replace(stages, i, 1);
            yield return Replace(stages, i, 1, own[..half], own[half..]);
            yield return Replace(stages, i, 1, own[..^1]);
            foreach (var extra in unused) yield return Replace(stages, i, 1, [.. own, extra]);
            if (i + 1 == stages.Count) continue;
            var next = stages[i + 1];
            yield return Replace(stages, i, 2, [.. own, .. next]);
            yield return Replace(stages, i, 2, next, own);
            yield return Replace(stages, i, 2, own[..^1], [own[^1], .. next]);
            yield return Replace(stages, i, 2, [.. own, next[0]], next[1..]);
        }
        foreach (var extra in unused)
        {
            yield return [[extra], .. stages];
            yield return [.. stages, [extra]];
        }
    }

    static IReadOnlyList<int[]> Replace(IReadOnlyList<int[]> stages, int first, int count, params int[][] by) =>
        [.. stages.Take(first), .. by, .. stages.Skip(first + count)];

    /// <summary>The first unused worker of each kind.</summary>
    static IReadOnlyList<int> Unused(PlanScheme scheme, PlanningProblem problem)
    {
        var used = scheme.Stages.SelectMany(stage => stage).ToHashSet();
        var cluster = problem.Cluster;
        return
        [
            .. Enumerable.Range(0, cluster.Workers.Count).Where(worker => !used.Contains(worker))
                .DistinctBy(worker => (cluster.HostKinds[cluster.Workers[worker].Host], cluster.WorkerKinds[worker])),
        ];
    }

    static string KeyOf(IReadOnlyList<int[]> stages, PlanningProblem problem) =>
        string.Join(';', stages.Select(stage => problem.Cluster.GroupKindOf(stage)));
}
