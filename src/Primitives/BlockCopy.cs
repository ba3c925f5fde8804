namespace LlamaCluster.Primitives;

/// <summary>An order to copy KV block <paramref name="Source"/> to block <paramref name="Target"/>, in every layer.</summary>
public readonly record struct BlockCopy(int Source, int Target);
