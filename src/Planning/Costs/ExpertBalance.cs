using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Costs;

/// <summary>
/// The work of the rank that has most of it, where ranks have whole experts and rows choose experts evenly and independently of each other.
/// <para>
/// Used experts: a step uses as many of a layer's as <see cref="ExpertUse"/> expects, any of them with equal chance. So the numbers that ranks have
/// of them are hypergeometric; they are computed as binomials of which the sum is given, which is the same. Rows: each rank's number is binomial, taken to
/// be independent of the others'. That the ranks' numbers have a given sum is left out there: it matters where few rows meet few ranks, and then the
/// used experts are what counts.
/// </para>
/// </summary>
/// <param name="Used">The expected greatest share that a rank's used experts have of its experts: 1 if one has all of its experts in use.</param>
/// <param name="Rows">The expected greatest number of rows that a rank has for each of its experts.</param>
public readonly record struct ExpertBalance(double Used, double Rows)
{
    /// <param name="owned">Experts of each rank, all of the layer's together.</param>
    /// <param name="perRow">Experts that a row chooses.</param>
    public static ExpertBalance Of(IReadOnlyList<int> owned, int perRow, int rows)
    {
        var count = owned.Sum();
        var used = count * ExpertUse.ShareUsed(count, perRow, rows);
        var (whole, rest) = ((int)used, used - (int)used);
        var share = MostUsed(owned, whole);
        if (rest > 0) share += rest * (MostUsed(owned, whole + 1) - share);
        return new ExpertBalance(share, MostRows(owned, rows * perRow));
    }

    /// <summary>Where exactly so many experts of the layer are used.</summary>
    static double MostUsed(IReadOnlyList<int> owned, int used)
    {
        var (count, largest) = (owned.Sum(), owned.Max());
        var chance = (double)used / count;
        var chances = owned.Distinct().ToDictionary(own => own, own => Binomial(own, chance));
        var given = Binomial(count, chance)[used];
        // The mean of a number from 0 to 1 is the sum over steps of the chance that it is above each.
        var mean = 0.0;
        for (var step = 0; step < largest; step++)
        {
            var atMost = owned.Select(own => chances[own].AsMemory(0, Part(step, own, largest) + 1));
            mean += 1 - (ChanceOfSum(atMost, used) / given);
        }
        return mean / largest;
    }

    /// <summary>The chance that numbers, each within its own bounds, have a sum.</summary>
    static double ChanceOfSum(IEnumerable<Memory<double>> chances, int sum)
    {
        var sums = new double[sum + 1];
        sums[0] = 1;
        foreach (var own in chances)
        {
            var next = new double[sum + 1];
            for (var before = 0; before <= sum; before++)
            {
                if (sums[before] == 0) continue;
                for (var number = 0; number < own.Length && before + number <= sum; number++) next[before + number] += sums[before] * own.Span[number];
            }
            sums = next;
        }
        return sums[sum];
    }

    /// <param name="choices">Rows, each as often as it chooses an expert.</param>
    static double MostRows(IReadOnlyList<int> owned, int choices)
    {
        var (count, largest) = (owned.Sum(), owned.Max());
        var kinds = owned.CountBy(own => own)
            .Select(kind => (Own: kind.Key, Ranks: kind.Value, AtMost: RunningSums(Binomial(choices, (double)kind.Key / count)))).ToArray();
        var mean = 0.0;
        for (var step = 0; step < choices; step++)
        {
            var within = kinds.Aggregate(1.0, (all, kind) => all * Math.Pow(kind.AtMost[Part(step, kind.Own, largest)], kind.Ranks));
            if (within == 1) break;
            mean += 1 - within;
        }
        return mean / largest;
    }

    /// <summary>What of a rank's number is not above so many steps of the largest rank's.</summary>
    static int Part(int step, int own, int largest) => (int)((long)step * own / largest);

    static double[] RunningSums(double[] chances)
    {
        for (var i = 1; i < chances.Length; i++) chances[i] = Math.Min(1, chances[i] + chances[i - 1]);
        return chances;
    }

    /// <summary>The chances of 0, 1, 2... of so many, each with the same chance: from the likeliest on, so that none is too small for a number.</summary>
    static double[] Binomial(int count, double chance)
    {
        var all = new double[count + 1];
        var likeliest = (int)Math.Min(count, (count + 1) * chance);
        all[likeliest] = 1;
        var odds = chance / (1 - chance);
        for (var i = likeliest; i < count && all[i] > 0; i++) all[i + 1] = all[i] * odds * (count - i) / (i + 1);
        for (var i = likeliest; i > 0 && all[i] > 0; i--) all[i - 1] = all[i] / odds * i / (count - i + 1);
        var sum = all.Sum();
        for (var i = 0; i <= count; i++) all[i] /= sum;
        return all;
    }
}
