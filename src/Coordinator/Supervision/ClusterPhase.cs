namespace LlamaCluster.Coordinator.Supervision;

public enum ClusterPhase
{
    /// <summary>For workers, for memory, or for the end of a pause after a failure.</summary>
    Waiting,

    /// <summary>Workers load their shards.</summary>
    Loading,

    Ready,

    /// <summary>A worker wants to leave: what runs may finish, nothing new is taken.</summary>
    Draining,

    Stopping,
}
