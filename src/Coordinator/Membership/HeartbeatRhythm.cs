namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// When the silence of a worker is suspicious: a phi accrual failure detector (Hayashibara et al., 2004, https://doi.org/10.1109/RELDIS.2004.1353004).
/// It learns the mean and the spread of the times between heartbeats. A silence is suspicious once a heartbeat that comes later is less likely than
/// one in a hundred million (phi 8), if those times are spread as a normal distribution. Pure: the caller has the clock.
/// </summary>
/// <param name="interval">How often heartbeats are to come: the first guess of the mean.</param>
/// <param name="beyond">The least silence beyond the mean that is suspicious, however regular the heartbeats were.</param>
sealed class HeartbeatRhythm(TimeSpan interval, TimeSpan beyond)
{
    /// <summary>How many standard deviations above the mean phi is 8.</summary>
    const double Deviations = 5.612;

    /// <summary>The weight of the newest time: about the last 20 count.</summary>
    const double Weight = 0.1;

    /// <summary>However irregular heartbeats were, a longer silence than so many means is suspicious.</summary>
    const double MostMeans = 8;

    double _mean = interval.TotalSeconds;
    double _variance = Math.Pow(interval.TotalSeconds / 4, 2);

    /// <summary>A longer silence is suspicious.</summary>
    public TimeSpan Longest
    {
        get
        {
            var spread = Math.Min(Deviations * Math.Sqrt(_variance), (MostMeans - 1) * _mean);
            return TimeSpan.FromSeconds(_mean + Math.Max(spread, beyond.TotalSeconds));
        }
    }

    /// <param name="silence">The time between two heartbeats.</param>
    public void Beat(TimeSpan silence)
    {
        var difference = silence.TotalSeconds - _mean;
        _mean += Weight * difference;
        _variance = (1 - Weight) * (_variance + Weight * difference * difference);
    }
}
