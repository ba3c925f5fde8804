using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>What clients are told of a sequence that did not come to its end.</summary>
static class SequenceErrors
{
    public static ApiError Of(SequenceEvent.Refused refused) => refused.Why switch
    {
        Refusal.NotReady => ApiError.NotReady(refused.Message),
        Refusal.QueueFull => ApiError.Busy(refused.Message),
        Refusal.ClientQueueFull => ApiError.ClientBusy(refused.Message),
        Refusal.WaitedTooLong => ApiError.WaitedTooLong(refused.Message),
        Refusal.NoAdapter => ApiError.ModelGone(refused.Message),
        Refusal.TooLarge => ApiError.TooMuchKv(refused.Message),
        _ => throw new InvalidOperationException($"no answer is known for a sequence refused as {refused.Why}"),
    };

    public static ApiError Of(SequenceEvent.Failed failed) => failed.Retryable ? ApiError.Interrupted(failed.Message) : ApiError.Internal(failed.Message);
}
