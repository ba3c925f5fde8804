using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>
/// Finds the best scheme for a problem. Where there are few schemes, all of them are looked at, so that the best one is found for certain; where
/// there are more, those in which all stages of a kind of workers are alike, and from the best of these on, step by step, those that differ a
/// little, until none is better. Deterministic; its work is bounded by counts, not by time.
/// </summary>
sealed class SchemeSearch(PlanningProblem problem)
{
    /// <summary>Up to so many schemes, all are looked at: any cluster of 5 workers, or 12 that are alike.</summary>
    public const int MostForAll = 6_000;

    /// <summary>Of more workers, even if all are alike, there are more schemes than that.</summary>
    const int MostWorkersForAll = 16;

    /// <summary>Schemes that are looked at when there are more.</summary>
    public const int MostSteps = 400;

    readonly SchemeEvaluator _evaluator = new(problem);

    /// <returns>Null if no scheme fits.</returns>
    public SearchResult? Run()
    {
        var ranking = new SchemeRanking(_evaluator);
        List<PlanScheme> all = problem.Cluster.Workers.Count <= MostWorkersForAll ? [.. AllSchemes.Of(problem).Take(MostForAll + 1)] : [];
        var exact = all.Count is > 0 and <= MostForAll;
        if (exact) ranking.Consider(all);
        else
        {
            ranking.Consider(EvenSchemes.Of(problem));
            Climb(ranking);
        }
        return ranking.Best is { } best ? new SearchResult(best, ranking.RunnerUp, exact, ranking.Considered, _evaluator.Divisions) : null;
    }

    void Climb(SchemeRanking ranking)
    {
        var left = MostSteps;
        for (SchemeCost? from = null; ranking.Best is { } best && best != from && left > 0;)
        {
            from = best;
            List<PlanScheme> near = [.. SchemeMoves.From(best.Scheme, problem).Take(left)];
            left -= near.Count;
            ranking.Consider(near, onlyBetter: true);
        }
    }
}
