namespace LlamaCluster.Planning;

public enum PlanObjective
{
    /// <summary>The least time per token of one stream.</summary>
    Latency,

    /// <summary>The most tokens per second of all streams together.</summary>
    Throughput,
}
