namespace LlamaCluster.Coordinator.Scheduling;

public enum AddOutcome
{
    Queued,

    /// <summary>Too many sequences wait already.</summary>
    QueueFull,

    /// <summary>The sequence could need more KV blocks than there are in all.</summary>
    NeverFits,
}
