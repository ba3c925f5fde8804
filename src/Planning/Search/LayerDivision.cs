namespace LlamaCluster.Planning.Search;

/// <summary>
/// The sum of the times of stages. Among equal sums, the one with more equal stages is less. Times are whole picoseconds, so that a sum does
/// not depend on its order.
/// </summary>
/// <param name="Squares">The sum of the squares of the stages' times.</param>
readonly record struct StageSum(long Picoseconds, Int128 Squares) : IComparable<StageSum>
{
    public static StageSum Of(long picoseconds) => new(picoseconds, (Int128)picoseconds * picoseconds);

    public static StageSum Add(StageSum a, StageSum b) => new(a.Picoseconds + b.Picoseconds, a.Squares + b.Squares);

    public int CompareTo(StageSum other) => Picoseconds != other.Picoseconds ? Picoseconds.CompareTo(other.Picoseconds) : Squares.CompareTo(other.Squares);
}

/// <summary>
/// Finds the best way to cut L layers into S contiguous, non-empty ranges, by dynamic programming over (stages, layers): exact, O(S (L - S)^2).
/// </summary>
static class LayerDivision
{
    /// <param name="cost">
    /// (stage, first, count): the cost of a stage with count layers from first on. It must not fall as count grows. Null: the stage cannot hold
    /// so many layers, and then not more either.
    /// </param>
    /// <param name="join">The cost of the earlier stages and one more together. It must not be less than either, and must not fall if either grows.</param>
    /// <returns>The layers of each stage, and the cost. Among equal costs the earlier stages get more layers. Null if no division is possible.</returns>
    public static (int[] Counts, TCost Cost)? Best<TCost>(int layers, int stages, Func<int, int, int, TCost?> cost, Func<TCost, TCost, TCost> join)
        where TCost : struct, IComparable<TCost>
    {
        // best[s, l]: the least cost of stages 0..s over the first l layers. last[s, l]: how many of these layers stage s has then; 0 if impossible.
        var best = new TCost[stages, layers + 1];
        var last = new int[stages, layers + 1];
        for (var stage = 0; stage < stages; stage++)
        {
            var least = stage == stages - 1 ? layers : stage + 1;   // every earlier stage has at least one layer, and every later one too
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
