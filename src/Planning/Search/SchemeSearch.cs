using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>The result of a search.</summary>
/// <param name="RunnerUp">The best scheme of another shape; null if there is none.</param>
/// <param name="OtherExperts">The best scheme with experts given to ranks in the other way; null if that is not possible, or makes no difference.</param>
/// <param name="IsExact">Every scheme was considered.</param>
/// <param name="Considered">The number of schemes that were considered.</param>
/// <param name="Divisions">The number of divisions of layers that were computed for them.</param>
sealed record SearchResult(SchemeCost Best, SchemeCost? RunnerUp, SchemeCost? OtherExperts, bool IsExact, int Considered, int Divisions);

/// <summary>
/// Finds the best scheme for a problem. If there are few schemes it compares all of them, and the result is exact. Otherwise it compares even schemes
/// (see <see cref="EvenSchemes"/>) and climbs from the best of them: it compares the neighbours of the best scheme so far, again and again, until none
/// is better. Deterministic; its work is bounded by counts, not by time.
/// </summary>
sealed class SchemeSearch(PlanningProblem problem)
{
    /// <summary>Up to this number of schemes, all are compared: any cluster of 5 workers, or 12 that are alike.</summary>
    public const int MostForAll = 6_000;

    /// <summary>More workers have more schemes than that, even if all workers are alike.</summary>
    const int MostWorkersForAll = 16;

    /// <summary>The most neighbours that climbing compares.</summary>
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
        return ranking.Best is { } best
            ? new SearchResult(best, ranking.RunnerUp, WithOtherExperts(best), exact, ranking.Considered, _evaluator.Divisions)
            : null;
    }

    SchemeCost? WithOtherExperts(SchemeCost best)
    {
        if (problem.ExpertCuts.Count == 1) return null;
        var other = _evaluator.Evaluate(best.Scheme, !best.HasWholeExperts, long.MaxValue);
        return other is null || other.HasWholeExperts == best.HasWholeExperts ? null : other;
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
