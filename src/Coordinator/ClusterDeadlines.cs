namespace LlamaCluster.Coordinator;

/// <summary>How long the coordinator waits for workers before it holds something for lost or failed.</summary>
public sealed record ClusterDeadlines
{
    /// <summary>A step may take so many times what it is expected to.</summary>
    const double StepPatience = 5;

    static readonly TimeSpan LongestStep = TimeSpan.FromHours(24);

    /// <summary>How often a worker is asked to give a sign of life. Default 1 s.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A worker that gives none for so long is lost. One whose process died is noticed at once, by its connection: this is for cut cables and
    /// frozen machines, and long enough for a machine whose cores all compute. Default 8 s.
    /// </summary>
    public TimeSpan HeartbeatTimeout { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>For a step, from when it is the oldest one under way; where steps are expected to be slow, <see cref="OfSteps"/> if that is more. Default 120 s.</summary>
    public TimeSpan Step { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>For opening the Steps streams of a view. Default 15 s.</summary>
    public TimeSpan Open { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Without news from a worker that loads its shard. Default 120 s.</summary>
    public TimeSpan LoadSilence { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// When a worker says that another one is gone, how long to wait for word of that other before the first is named. Default 1 s.
    /// </summary>
    public TimeSpan Blame { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Running sequences get so long to finish when a worker wants to leave. Default 20 s.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Running sequences get so long to finish when the coordinator stops. Default 5 s.</summary>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After a view that failed with all its workers there: the first pause, doubled each time. Default 0.5 s.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest such pause. Default 15 s.</summary>
    public TimeSpan LongestRetry { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>What is granted to steps of which the fullest is expected to take so long: slow is not dead.</summary>
    public static TimeSpan OfSteps(double expectedSeconds) => TimeSpan.FromSeconds(Math.Min(StepPatience * expectedSeconds, LongestStep.TotalSeconds));
}
