namespace LlamaCluster.Planning.Costs;

/// <summary>What one worker's memory holds, in bytes.</summary>
/// <param name="Weights">As they are when loaded.</param>
/// <param name="Kv">The KV cache of its layers and heads.</param>
public readonly record struct RankMemory(double Weights, double Kv, double Buffers)
{
    public double Total => Weights + Kv + Buffers;
}
