namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the API needs of the cluster: one model, run for many sequences at a time.</summary>
public interface IGenerationEngine
{
    /// <summary>Whether a model is loaded on all stages, and if not, why. An immutable snapshot.</summary>
    EngineStatus Status { get; }

    /// <summary>
    /// Queues a sequence. Its events come in order, and the last is exactly one <see cref="SequenceEvent.Finished"/>,
    /// <see cref="SequenceEvent.Failed"/> or <see cref="SequenceEvent.Refused"/>. Cancelling ends the sequence at once, frees its KV blocks and ends the stream with
    /// <see cref="OperationCanceledException"/>.
    /// </summary>
    IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, CancellationToken cancellation);
}
