namespace LlamaCluster.Planning.Search;

/// <summary>Keeps the best scheme so far, and the best one of another shape. Schemes whose lower bound is too high for both are skipped.</summary>
sealed class SchemeRanking(SchemeEvaluator evaluator)
{
    public SchemeCost? Best { get; private set; }

    public SchemeCost? RunnerUp { get; private set; }

    public int Considered { get; private set; }

    /// <summary>Among equal costs, fewer workers win, and then the scheme that comes first.</summary>
    /// <param name="onlyBetter">Only a new best scheme is of interest, not a new runner-up.</param>
    public void Consider(IReadOnlyList<PlanScheme> schemes, bool onlyBetter = false)
    {
        Considered += schemes.Count;
        var byBound = schemes.Select(scheme => (Scheme: scheme, Bound: evaluator.LowerBound(scheme)))
            .OrderBy(pair => pair.Bound).ThenBy(pair => pair.Scheme.Workers);
        foreach (var (scheme, bound) in byBound)
        {
            var ceiling = (onlyBetter ? Best : RunnerUp)?.Picoseconds ?? long.MaxValue;
            if (bound > ceiling) return;
            if (evaluator.Evaluate(scheme, ceiling) is { } cost) Take(cost);
        }
    }

    void Take(SchemeCost cost)
    {
        if (Best is null || IsBetter(cost, Best))
        {
            if (Best is not null && Best.Scheme.Shape != cost.Scheme.Shape) RunnerUp = Best;
            Best = cost;
        }
        else if (cost.Scheme.Shape != Best.Scheme.Shape && (RunnerUp is null || IsBetter(cost, RunnerUp))) RunnerUp = cost;
    }

    static bool IsBetter(SchemeCost a, SchemeCost b) =>
        a.Picoseconds != b.Picoseconds ? a.Picoseconds < b.Picoseconds : a.Scheme.Workers < b.Scheme.Workers;
}
