using System.Diagnostics;

namespace LlamaCluster.Cli.Bench;

/// <summary>When a stream's texts came.</summary>
/// <param name="start">When all streams were sent off (<see cref="Stopwatch.GetTimestamp"/>).</param>
sealed class StreamTimes(long start)
{
    readonly List<TimeSpan> _gaps = [];
    long _last;

    /// <summary>From the start to the first text.</summary>
    public TimeSpan FirstToken { get; private set; }

    /// <summary>From each text to the next.</summary>
    public IReadOnlyList<TimeSpan> Gaps => _gaps;

    /// <returns>Whether it was the first.</returns>
    public bool TextCame()
    {
        var (now, first) = (Stopwatch.GetTimestamp(), _last == 0);
        if (first) FirstToken = Stopwatch.GetElapsedTime(start, now);
        else _gaps.Add(Stopwatch.GetElapsedTime(_last, now));
        _last = now;
        return first;
    }
}
