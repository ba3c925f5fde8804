using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>A replica as the router sees it: this coordinator's own, or another's.</summary>
interface IReplica
{
    string Name { get; }

    /// <summary>Whether it takes sequences now. An immutable snapshot.</summary>
    EngineStatus Status { get; }

    ReplicaUse Use { get; }

    /// <summary>
    /// Cancelled when nothing more is to be expected of it for a while: its process is gone, frozen or cut off, or its workers are. Once it is well again,
    /// there is another token.
    /// </summary>
    CancellationToken Lost { get; }

    /// <summary>
    /// Runs sequences together: all are taken on, or all are refused. It never throws; a replica that cannot be reached gives a failure that can be retried.
    /// </summary>
    /// <param name="prompt">Of the first request.</param>
    /// <returns>One stream per request, in order, as <see cref="IGenerationEngine"/> promises them. Each must be read or left.</returns>
    IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Run(IReadOnlyList<SequenceRequest> requests, RoutedPrompt prompt);
}

/// <summary>How much a replica has to do.</summary>
/// <param name="Running">Sequences that hold KV.</param>
/// <param name="Waiting">Sequences that wait for room.</param>
/// <param name="MaxRunning">That may run at a time.</param>
/// <param name="Blocks">KV blocks in all; 0: not known.</param>
/// <param name="FreeBlocks">Blocks that no sequence holds.</param>
readonly record struct ReplicaUse(int Running, int Waiting, int MaxRunning, int Blocks, int FreeBlocks);
