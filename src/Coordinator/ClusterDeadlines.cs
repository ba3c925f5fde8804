using Microsoft.Extensions.Options;
using static LlamaCluster.Coordinator.OptionRange;

namespace LlamaCluster.Coordinator;

/// <summary>How long the coordinator waits for workers before it gives up on them. Each time is 1 ms to 24 h.</summary>
public sealed record ClusterDeadlines
{
    /// <summary>A step may take this many times as long as the plan predicts.</summary>
    const double StepPatience = 5;

    static readonly TimeSpan LongestStep = TimeSpan.FromHours(24);

    /// <summary>Each worker sends a heartbeat this often. Default 1 s.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A worker of which nothing is heard for this long, neither heartbeats nor results, is lost; a worker gives a coordinator up after the same
    /// silence. A dead process is noticed at once, because its connection breaks. The timeout is for cut cables and frozen machines, and is long
    /// enough for a machine whose cores all compute. Longer than
    /// <see cref="HeartbeatInterval"/>; default 8 s.
    /// </summary>
    public TimeSpan HeartbeatTimeout { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>
    /// A worker that is silent for so long beyond the usual time between its heartbeats is suspected: others take over where there are any. The more
    /// irregular its heartbeats are, the longer it takes. Default 1 s.
    /// </summary>
    public TimeSpan Suspicion { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// For one step, counted from when it is the oldest one under way. <see cref="OfSteps"/> applies instead where it is longer. Default 120 s.
    /// </summary>
    public TimeSpan Step { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>For opening the Steps streams of a view. Default 15 s.</summary>
    public TimeSpan Open { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The longest pause between two progress reports of a worker that loads its shard. Default 120 s.</summary>
    public TimeSpan LoadSilence { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// When a worker reports that another one is gone, the coordinator waits this long for news of the other one before it blames the
    /// worker that reported. Default 1 s.
    /// </summary>
    public TimeSpan Blame { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Sequences wait this long for other workers when theirs were lost. Then they end, and new ones are refused. Default 60 s (--recovery-timeout).
    /// </summary>
    public TimeSpan Recovery { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a cluster waits for all the workers that are wanted, before it makes do with fewer. Default 60 s (--wait-for-workers).
    /// </summary>
    public TimeSpan WaitForWorkers { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Running sequences have this long to finish when a worker wants to leave that nobody can take over from. Default 20 s.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>A worker that leaves is kept for so long from the end of its view on, so that others can fetch its KV. Default 20 s.</summary>
    public TimeSpan Handover { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Running sequences have this long to finish when the coordinator stops. Default 5 s (--drain-timeout).</summary>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The pause after the first view that failed although all its workers are still there. It doubles each time. Default 0.5 s.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest such pause. Default 15 s.</summary>
    public TimeSpan LongestRetry { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The time that steps get if the plan predicts <paramref name="expectedSeconds"/> for the fullest one: a slow worker is not a dead one.</summary>
    public static TimeSpan OfSteps(double expectedSeconds) => TimeSpan.FromSeconds(Math.Min(StepPatience * expectedSeconds, LongestStep.TotalSeconds));
}

/// <summary>The ranges of <see cref="ClusterDeadlines"/>; names the first wrong value.</summary>
public sealed class ClusterDeadlinesValidator : IValidateOptions<ClusterDeadlines>
{
    public ValidateOptionsResult Validate(string? name, ClusterDeadlines options)
        => FirstProblem(options) is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;

    static string? FirstProblem(ClusterDeadlines options) =>
        Problem(nameof(options.HeartbeatInterval), options.HeartbeatInterval)
        ?? Problem(nameof(options.HeartbeatTimeout), options.HeartbeatTimeout)
        ?? (options.HeartbeatTimeout > options.HeartbeatInterval ? null
            : $"HeartbeatTimeout is {options.HeartbeatTimeout}; it must be above HeartbeatInterval, {options.HeartbeatInterval}")
        ?? Problem(nameof(options.Suspicion), options.Suspicion)
        ?? Problem(nameof(options.Step), options.Step)
        ?? Problem(nameof(options.Open), options.Open)
        ?? Problem(nameof(options.LoadSilence), options.LoadSilence)
        ?? Problem(nameof(options.Blame), options.Blame)
        ?? Problem("--recovery-timeout", options.Recovery)
        ?? Problem("--wait-for-workers", options.WaitForWorkers)
        ?? Problem(nameof(options.Drain), options.Drain)
        ?? Problem(nameof(options.Handover), options.Handover)
        ?? Problem("--drain-timeout", options.Shutdown)
        ?? Problem(nameof(options.FirstRetry), options.FirstRetry)
        ?? Problem(nameof(options.LongestRetry), options.LongestRetry);
}
