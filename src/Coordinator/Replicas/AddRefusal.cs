using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>Why a scheduler did not take sequences in, in the words of the API.</summary>
sealed record AddRefusal(Refusal Why, string Message)
{
    /// <returns>Null if they were taken in.</returns>
    public static AddRefusal? Of(AddOutcome outcome, StepScheduler scheduler, IReadOnlyList<SequenceStream> streams) => outcome switch
    {
        AddOutcome.Queued => null,
        AddOutcome.QueueFull => new AddRefusal(
            Refusal.QueueFull, $"{scheduler.RunningCount} sequences run and {scheduler.WaitingCount} wait already; send the request again later"),
        AddOutcome.ClientQueueFull => new AddRefusal(
            Refusal.ClientQueueFull,
            "as many sequences of this client wait already as one client may have; send the request again when some of them have finished"),
        AddOutcome.NeverFits => new AddRefusal(
            Refusal.TooLarge,
            $"the request may need {streams.Max(stream => stream.Sequence!.MaxPositions)} positions of KV cache, "
                + $"but the cluster has room for {scheduler.Pool.Positions}; shorten the prompt or ask for fewer tokens"),
        _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
    };
}
