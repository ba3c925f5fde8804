using LlamaCluster.Kernels.Measuring;

namespace LlamaCluster.Worker.Profiling;

/// <summary>A rate that is measured in several rounds; the best of all counts.</summary>
/// <param name="pass">Does once what is measured, and says how long it took.</param>
/// <param name="amount">Bytes or multiply-adds of a pass.</param>
/// <param name="duration">Of a round.</param>
sealed class RepeatedRate(Func<TimeSpan> pass, double amount, TimeSpan duration)
{
    TimeSpan _best = TimeSpan.MaxValue;

    public double PerSecond => amount / _best.TotalSeconds;

    public void Round()
    {
        var time = BestTime.Of(pass, duration);
        if (time < _best) _best = time;
    }
}
