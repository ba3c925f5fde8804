namespace LlamaCluster.Cli.Bench;

/// <summary>Of latencies, in seconds: at most this much in 50, 90 and 99 of a hundred cases (nearest rank).</summary>
sealed record Percentiles(double P50, double P90, double P99)
{
    /// <param name="values">At least one.</param>
    public static Percentiles Of(IEnumerable<TimeSpan> values)
    {
        TimeSpan[] sorted = [.. values.Order()];
        return new Percentiles(At(sorted, 50), At(sorted, 90), At(sorted, 99));
    }

    static double At(TimeSpan[] sorted, int percent) => sorted[(sorted.Length * percent + 99) / 100 - 1].TotalSeconds;
}
