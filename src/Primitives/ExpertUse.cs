namespace LlamaCluster.Primitives;

/// <summary>How many experts of a layer a step uses, if tokens choose them evenly and independently of each other.</summary>
public static class ExpertUse
{
    /// <summary>The share of a layer's experts that at least one row uses: 1 - (1 - used / count)^rows.</summary>
    /// <param name="count">Experts of a layer.</param>
    /// <param name="used">Experts that a row uses.</param>
    public static double ShareUsed(int count, int used, double rows) => 1 - Math.Pow(1 - (double)used / count, rows);

    /// <summary>Rows of each expert that is used at all.</summary>
    public static double RowsOfEach(int count, int used, double rows) => rows * used / (count * ShareUsed(count, used, rows));
}
