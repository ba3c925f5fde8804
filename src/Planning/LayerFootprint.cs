namespace LlamaCluster.Planning;

/// <summary>What one layer weighs. Attention is split by KV-head groups and the feed-forward by columns, so that a rank's shares of them differ.</summary>
/// <param name="NormBytes">Held by every rank whole.</param>
public sealed record LayerFootprint(IReadOnlyList<TypedWeights> Attention, IReadOnlyList<TypedWeights> FeedForward, long NormBytes)
{
    public double AttentionBytes { get; } = Attention.Sum(weights => weights.Bytes);

    public double FeedForwardBytes { get; } = FeedForward.Sum(weights => weights.Bytes);

    public double Bytes => AttentionBytes + FeedForwardBytes + NormBytes;

    /// <summary>The same but for their numbers.</summary>
    public bool IsLike(LayerFootprint other) =>
        NormBytes == other.NormBytes && Attention.SequenceEqual(other.Attention) && FeedForward.SequenceEqual(other.FeedForward);
}
