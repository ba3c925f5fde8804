using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>
/// Divides indivisible units in proportion to shares, at least one unit for each rank. It minimises the largest ratio of units to share,
/// because a group is as fast as its slowest rank. The method (Jefferson's) gives out one unit after the other, each to the rank whose
/// ratio would then be the smallest. A rank with a greater share never gets less, and with more units no rank gets less.
/// </summary>
static class Apportionment
{
    /// <param name="units">At least as many as shares.</param>
    /// <param name="shares">Each at least 1.</param>
    /// <returns>Units of each rank. Among equal shares an earlier rank has at most one more.</returns>
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

    /// <summary>
    /// Divides query heads. Query heads that share a KV head form a group. A rank has whole groups. With more ranks than groups a rank has part
    /// of one group: each group then has some consecutive ranks, chosen so that the slowest rank is as fast as possible.
    /// </summary>
    /// <param name="shares">At most one rank per head.</param>
    public static IndexRange[] DivideHeads(int headCount, int kvHeadCount, RankShares shares)
    {
        var group = headCount / kvHeadCount;
        var counts = shares.Count <= kvHeadCount
            ? Divide(kvHeadCount, shares.Values).Select(groups => groups * group)
            : DivideGroups(group, kvHeadCount, shares);
        var first = 0;
        return [.. counts.Select(count =>
        {
            var range = new IndexRange(first, count);
            first = range.End;
            return range;
        })];
    }

    /// <summary>Heads of each rank, by dynamic programming over (groups, ranks): exact. Among equal results the first groups have more ranks.</summary>
    static IEnumerable<int> DivideGroups(int group, int groups, RankShares shares)
    {
        var ranks = shares.Count;
        // slowest[g, r]: the most heads per share when the first g groups are on the first r ranks. last[g, r]: how many of these ranks have group g - 1.
        var slowest = new double[groups + 1, ranks + 1];
        var last = new int[groups + 1, ranks + 1];
        for (var r = 1; r <= ranks; r++) slowest[0, r] = double.PositiveInfinity;
        for (var r = 0; r <= ranks; r++)
        {
            var alone = Enumerable.Range(1, Math.Min(group, r)).Select(own => MostPerShare(group, SharesOf(shares, r - own, own))).ToArray();
            for (var g = 1; g <= groups; g++)
            {
                slowest[g, r] = double.PositiveInfinity;
                for (var own = 1; own <= alone.Length; own++)
                {
                    var most = Math.Max(slowest[g - 1, r - own], alone[own - 1]);
                    if (most < slowest[g, r]) (slowest[g, r], last[g, r]) = (most, own);
                }
            }
        }

        var heads = new List<int>();
        for (var (g, end) = (groups, ranks); g > 0; g--)
        {
            var own = last[g, end];
            heads.InsertRange(0, Divide(group, SharesOf(shares, end - own, own)));
            end -= own;
        }
        return heads;
    }

    /// <summary>Orders by units per share, without rounding, and then by rank.</summary>
    static int Compare((int Rank, int Units, int Share) a, (int Rank, int Units, int Share) b)
    {
        var byLoad = ((long)a.Units * b.Share).CompareTo((long)b.Units * a.Share);
        return byLoad != 0 ? byLoad : a.Rank.CompareTo(b.Rank);
    }

    static int[] SharesOf(RankShares shares, int first, int count) => [.. shares.Values.Skip(first).Take(count)];

    static double MostPerShare(int heads, int[] shares) => Divide(heads, shares).Select((count, i) => count / (double)shares[i]).Max();
}
