namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the API needs of the cluster: one model, run for many sequences at a time.</summary>
public interface IGenerationEngine
{
    /// <summary>Whether a model is loaded on all stages, and if not, why. An immutable snapshot.</summary>
    EngineStatus Status { get; }

    /// <summary>
    /// Queues a sequence. Its events come in order: zero or more tokens, then exactly one <see cref="SequenceEvent.Finished"/> or
    /// <see cref="SequenceEvent.Failed"/>. Cancelling ends the sequence at once, frees its KV blocks and ends the stream with
    /// <see cref="OperationCanceledException"/>.
    /// </summary>
    IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, CancellationToken cancellation);
}
