namespace LlamaCluster.Coordinator.Scheduling.Speculation;

/// <summary>
/// How many tokens are worth drafting. A step costs the time to read all weights once and, for each of its rows, the time to compute with them;
/// so the more rows it has anyway, the dearer is one more compared with what a token costs without.
/// </summary>
static class DraftLength
{
    /// <summary>
    /// Rows whose products take as long as reading the weights. Measured between 3.5 (one thread) and 7 (two threads) for Q4_0 on an EPYC of
    /// 2025; a little too low only means a draft less.
    /// </summary>
    const double RowsPerRead = 4;

    /// <param name="acceptance">The probability that a drafted token is right if all before it are.</param>
    /// <param name="rows">Of the step without drafts.</param>
    /// <returns>As many as gain more than they cost, and at most <paramref name="most"/>.</returns>
    public static int Worth(double acceptance, long rows, int most)
    {
        // Of one row, as a fraction of what a token costs: with r rows a step costs RowsPerRead + r for r tokens.
        var price = rows / (rows + RowsPerRead);
        var count = 0;
        for (var gain = acceptance; count < most && gain > price; gain *= acceptance) count++;
        return count;
    }
}
