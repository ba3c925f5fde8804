using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>
/// Divides query heads among ranks. Query heads that share a KV head are a group. A rank has whole groups; with more ranks than groups,
/// part of one: every group then has some consecutive ranks, chosen so that the slowest rank is as fast as can be.
/// </summary>
static class HeadDivision
{
    /// <param name="shares">Of no more ranks than heads.</param>
    public static IndexRange[] Divide(int headCount, int kvHeadCount, RankShares shares)
    {
        var group = headCount / kvHeadCount;
        var counts = shares.Count <= kvHeadCount
            ? Apportionment.Divide(kvHeadCount, shares.Values).Select(groups => groups * group)
            : DivideGroups(group, kvHeadCount, shares);
        var first = 0;
        return [.. counts.Select(count =>
        {
            var range = new IndexRange(first, count);
            first = range.End;
            return range;
        })];
    }

    /// <summary>Heads of each rank, by dynamic programming over (groups, ranks): exact; of equals, the first groups have more ranks.</summary>
    static IEnumerable<int> DivideGroups(int group, int groups, RankShares shares)
    {
        var ranks = shares.Count;
        // slowest[g, r]: most heads per share among the first r ranks, which have the first g groups; last[g, r]: how many of them have the last of these.
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
            heads.InsertRange(0, Apportionment.Divide(group, SharesOf(shares, end - own, own)));
            end -= own;
        }
        return heads;
    }

    static int[] SharesOf(RankShares shares, int first, int count) => [.. shares.Values.Skip(first).Take(count)];

    static double MostPerShare(int heads, int[] shares) => Apportionment.Divide(heads, shares).Select((count, i) => count / (double)shares[i]).Max();
}
