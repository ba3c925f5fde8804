namespace LlamaCluster.Planning.Plans;

/// <summary>
/// Divides units that cannot be cut in proportion to shares, at least one each, so that the one who has most for its share has as little as
/// possible: a group goes at the pace of its slowest rank. That is what giving the units out one by one does, each to the one who
/// then has least for its share (Jefferson's method). Nobody loses by a greater share, or by more units.
/// </summary>
static class Apportionment
{
    /// <param name="units">At least as many as shares.</param>
    /// <param name="shares">Each at least 1.</param>
    /// <returns>Units of each; of equal shares the earlier has at most one more.</returns>
    public static int[] Divide(int units, IReadOnlyList<int> shares)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(units, shares.Count);
        var counts = new int[shares.Count];
        Array.Fill(counts, 1);
        var next = new PriorityQueue<int, (int Rank, int Units, int Share)>(Comparer<(int Rank, int Units, int Share)>.Create(Compare));
        for (var rank = 0; rank < shares.Count; rank++) next.Enqueue(rank, (rank, 2, shares[rank]));
        for (var left = units - shares.Count; left > 0; left--)
        {
            var rank = next.Dequeue();
            next.Enqueue(rank, (rank, ++counts[rank] + 1, shares[rank]));
        }
        return counts;
    }

    /// <summary>Units / Share ascending, without rounding; then rank.</summary>
    static int Compare((int Rank, int Units, int Share) a, (int Rank, int Units, int Share) b)
    {
        var byLoad = ((long)a.Units * b.Share).CompareTo((long)b.Units * a.Share);
        return byLoad != 0 ? byLoad : a.Rank.CompareTo(b.Rank);
    }
}
