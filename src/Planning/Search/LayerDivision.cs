namespace LlamaCluster.Planning.Search;

/// <summary>
/// The best way to cut L layers into S contiguous, non-empty ranges, by dynamic programming over (stages, layers): exact, O(S (L - S)^2).
/// </summary>
static class LayerDivision
{
    /// <param name="cost">Of a stage that holds count layers from first, not less with more layers; null if it cannot, nor more.</param>
    /// <param name="join">What the stages before and one more cost together: not less than either, and not less if either costs more.</param>
    /// <returns>Layers of each stage, and what the division costs; among equals the earlier stages get more. Null if there is none.</returns>
    public static (int[] Counts, TCost Cost)? Best<TCost>(int layers, int stages, Func<int, int, int, TCost?> cost, Func<TCost, TCost, TCost> join)
        where TCost : struct, IComparable<TCost>
    {
        // best[s, l]: the least cost of stages 0..s over the first l layers; last[s, l]: how many of those stage s has then, 0 if there is no way.
        var best = new TCost[stages, layers + 1];
        var last = new int[stages, layers + 1];
        for (var stage = 0; stage < stages; stage++)
        {
            var least = stage == stages - 1 ? layers : stage + 1;   // every stage before has at least one, and every one after
            for (var covered = least; covered <= layers - (stages - 1 - stage); covered++)
                for (var count = stage == 0 ? covered : 1; count <= covered - stage; count++)
                {
                    if (stage > 0 && last[stage - 1, covered - count] == 0) continue;
                    if (cost(stage, covered - count, count) is not { } own) break;
                    if (last[stage, covered] > 0 && own.CompareTo(best[stage, covered]) >= 0) break;
                    var together = stage == 0 ? own : join(best[stage - 1, covered - count], own);
                    if (last[stage, covered] > 0 && together.CompareTo(best[stage, covered]) >= 0) continue;
                    (best[stage, covered], last[stage, covered]) = (together, count);
                }
        }
        if (last[stages - 1, layers] == 0) return null;
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
