namespace LlamaCluster.Coordinator.Generation;

/// <summary>Why a sequence was not taken on.</summary>
public enum Refusal
{
    /// <summary>No model is loaded, or the coordinator takes on nothing more: later it may.</summary>
    NotReady,

    /// <summary>As many wait as may: later there is room.</summary>
    QueueFull,

    /// <summary>It could come to need more KV cache than the cluster has.</summary>
    TooLarge,
}
