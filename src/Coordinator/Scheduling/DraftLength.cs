namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// How many tokens are worth drafting. A step costs the time to read all weights once, and for each of its rows the time to compute with them.
/// So the more rows a step has anyway, the more one drafted row costs compared with a token without drafts.
/// </summary>
static class DraftLength
{
    /// <summary>
    /// Rows whose products take as long as reading the weights. Measured between 3.5 (one thread) and 7 (two threads) for Q4_0 on an EPYC of
    /// 2025; a little too low only means a draft less.
    /// </summary>
    public const double RowsPerRead = 4;

    /// <param name="acceptance">The probability that a drafted token is right if all before it are.</param>
    /// <param name="rows">Rows of the step without drafts.</param>
    /// <returns>As many tokens as gain more than they cost, and at most <paramref name="most"/>.</returns>
    public static int Worth(double acceptance, long rows, int most)
    {
        // The cost of one more row as a fraction of the cost of a token: with r rows a step costs RowsPerRead + r for r tokens.
        var price = rows / (rows + RowsPerRead);
        var count = 0;
        for (var gain = acceptance; count < most && gain > price; gain *= acceptance) count++;
        return count;
    }
}
