using System.Diagnostics;

namespace LlamaCluster.Kernels.Measuring;

/// <summary>The shortest time of something done again and again: whatever else the machine does can only make one longer.</summary>
public static class BestTime
{
    const int LeastPasses = 3;

    /// <param name="pass">Does it once, and says how long it took.</param>
    /// <param name="duration">It is repeated for about this long; 3 times at least.</param>
    public static TimeSpan Of(Func<TimeSpan> pass, TimeSpan duration)
    {
        var best = TimeSpan.MaxValue;
        var start = Stopwatch.GetTimestamp();
        for (var passes = 0; passes < LeastPasses || Stopwatch.GetElapsedTime(start) < duration; passes++)
        {
            var time = pass();
            if (time < best) best = time;
        }
        return best;
    }
}
