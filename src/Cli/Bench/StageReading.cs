using System.Diagnostics;

namespace LlamaCluster.Cli.Bench;

/// <summary>What a cluster had done at a moment.</summary>
/// <param name="Timestamp">The moment (<see cref="Stopwatch.GetTimestamp"/>).</param>
/// <param name="Tokens">Generated.</param>
sealed record StageReading(long Timestamp, long Steps, long Tokens, IReadOnlyList<StageTotals> Stages)
{
    /// <summary>What was done since an earlier reading, in how many seconds.</summary>
    public (double Seconds, long Steps, long Tokens, StageLoad[] Stages) Since(StageReading earlier)
    {
        var seconds = Stopwatch.GetElapsedTime(earlier.Timestamp, Timestamp).TotalSeconds;
        var (steps, tokens) = (Steps - earlier.Steps, Tokens - earlier.Tokens);
        return (seconds, steps, tokens, [.. Stages.Select((totals, stage) => StageLoad.Of(
            stage, totals - earlier.Stages.ElementAtOrDefault(stage), seconds, steps, tokens))]);
    }
}
