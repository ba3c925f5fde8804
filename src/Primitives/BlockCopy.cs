namespace LlamaCluster.Primitives;

/// <summary>Block <paramref name="Target"/> is to hold what block <paramref name="Source"/> holds, in every layer.</summary>
public readonly record struct BlockCopy(int Source, int Target);
