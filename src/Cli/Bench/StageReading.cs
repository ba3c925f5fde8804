using System.Diagnostics;

namespace LlamaCluster.Cli.Bench;

/// <summary>What a cluster had done at a moment.</summary>
/// <param name="Timestamp">The moment (<see cref="Stopwatch.GetTimestamp"/>).</param>
/// <param name="Tokens">Generated.</param>
/// <param name="BusySeconds">In which each stage computed.</param>
/// <param name="SyncSeconds">In which the ranks of each stage exchanged what they computed.</param>
sealed record StageReading(long Timestamp, long Steps, long Tokens, double[] BusySeconds, double[] SyncSeconds)
{
    /// <summary>What was done since an earlier reading, in how many seconds.</summary>
    public (double Seconds, long Steps, long Tokens, StageLoad[] Stages) Since(StageReading earlier)
    {
        var seconds = Stopwatch.GetElapsedTime(earlier.Timestamp, Timestamp).TotalSeconds;
        var steps = Steps - earlier.Steps;
        return (seconds, steps, Tokens - earlier.Tokens, [.. BusySeconds.Select((busy, stage) => StageLoad.Of(
            stage, busy - earlier.BusySeconds.ElementAtOrDefault(stage), SyncSeconds[stage] - earlier.SyncSeconds.ElementAtOrDefault(stage), steps, seconds))]);
    }
}
