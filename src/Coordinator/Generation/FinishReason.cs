namespace LlamaCluster.Coordinator.Generation;

public enum FinishReason
{
    /// <summary>A stop id was generated.</summary>
    Stop,

    /// <summary>The limit of tokens was reached.</summary>
    Length,
}
