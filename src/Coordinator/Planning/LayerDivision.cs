namespace LlamaCluster.Coordinator.Planning;

/// <summary>
/// The best way to cut L layers into S contiguous, non-empty ranges, by dynamic programming over (stages, layers): exact, O(S L^2).
/// </summary>
static class LayerDivision
{
    /// <param name="cost">Of a stage that holds count layers from first; infinite if it cannot.</param>
    /// <param name="join">What two parts cost together: their sum, or the larger.</param>
    /// <returns>Layers of each stage, and what the division costs; among equals the earlier stages get more. Null if there is none.</returns>
    public static (int[] Counts, double Cost)? Best(int layers, int stages, Func<int, int, int, double> cost, Func<double, double, double> join)
    {
        // best[s, l]: the least cost of stages 0..s over the first l layers; last[s, l]: how many of those stage s has then.
        var best = new double[stages, layers + 1];
        var last = new int[stages, layers + 1];
        for (var stage = 0; stage < stages; stage++)
            for (var covered = 0; covered <= layers; covered++)
            {
                best[stage, covered] = double.PositiveInfinity;
                var most = covered - stage;   // every stage before has at least one
                for (var count = stage == 0 ? Math.Max(1, covered) : 1; count <= most; count++)
                {
                    var own = cost(stage, covered - count, count);
                    var together = stage == 0 ? own : join(best[stage - 1, covered - count], own);
                    if (together >= best[stage, covered]) continue;
                    (best[stage, covered], last[stage, covered]) = (together, count);
                }
            }
        if (double.IsPositiveInfinity(best[stages - 1, layers])) return null;
        return (Counts(last, layers, stages), best[stages - 1, layers]);
    }

    static int[] Counts(int[,] last, int layers, int stages)
    {
        var counts = new int[stages];
        for (var (stage, covered) = (stages - 1, layers); stage >= 0; stage--)
        {
            counts[stage] = last[stage, covered];
            covered -= counts[stage];
        }
        return counts;
    }
}
