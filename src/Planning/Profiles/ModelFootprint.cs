using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Profiles;

/// <summary>Weights of one tensor type, summed over matrices.</summary>
/// <param name="Type">GGUF's name, e.g. "Q4_0".</param>
/// <param name="Elements">Each takes one multiply-add for each row of activations.</param>
/// <param name="Bytes">Stored bytes.</param>
public readonly record struct TypedWeights(string Type, double Elements, double Bytes)
{
    /// <summary>A rank's part.</summary>
    public TypedWeights Share(double fraction) => new(Type, Elements * fraction, Bytes * fraction);
}

/// <summary>The weights of one layer. Attention is split by KV-head groups and the feed-forward by columns, so a rank's shares of them differ.</summary>
/// <param name="NormBytes">Every rank holds all norms.</param>
public sealed record LayerFootprint(IReadOnlyList<TypedWeights> Attention, IReadOnlyList<TypedWeights> FeedForward, long NormBytes)
{
    public double AttentionBytes { get; } = Attention.Sum(weights => weights.Bytes);

    public double FeedForwardBytes { get; } = FeedForward.Sum(weights => weights.Bytes);

    public double Bytes => AttentionBytes + FeedForwardBytes + NormBytes;

    /// <summary>Whether both layers have the same types and sizes.</summary>
    public bool IsLike(LayerFootprint other) =>
        NormBytes == other.NormBytes && Attention.SequenceEqual(other.Attention) && FeedForward.SequenceEqual(other.FeedForward);
}

/// <summary>A model's sizes and the weight of its parts: everything that planning needs to know about a model.</summary>
/// <param name="Split">The sizes that a tensor group divides.</param>
/// <param name="Embedding">On the first stage. A step reads only the rows of its tokens.</param>
/// <param name="Head">On the last stage: the output matrix, or the embedding again if tied.</param>
/// <param name="KvBlockBytes">Bytes of one KV block (16 positions) in one layer, all KV heads.</param>
public sealed record ModelFootprint(
    string Name, SplitSizes Split, IReadOnlyList<LayerFootprint> Layers, TypedWeights Embedding, TypedWeights Head, long KvBlockBytes)
{
    /// <summary>D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The longest sequence the model was made for, in tokens.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The head is the embedding matrix.</summary>
    public required bool TiedEmbeddings { get; init; }

    /// <summary>A worker holds the weights of one layer only, however many layers it runs.</summary>
    public bool LayersAreAlike { get; init; }

    public int LayerCount => Layers.Count;

    /// <summary>For each layer, the index of the first layer with the same types and sizes.</summary>
    public IReadOnlyList<int> LayerKinds { get; } = KindsOf(Layers);

    /// <summary>Bytes of keys and values of one position in one layer.</summary>
    public double KvPositionBytes => (double)KvBlockBytes / KvBlock.Positions;

    public double Bytes => Layers.Sum(layer => layer.Bytes) + Embedding.Bytes + (TiedEmbeddings ? 0 : Head.Bytes);

    static int[] KindsOf(IReadOnlyList<LayerFootprint> layers)
    {
        List<int> firsts = [];
        return [.. layers.Select((layer, index) =>
        {
            var known = firsts.FindIndex(first => layers[first].IsLike(layer));
            if (known < 0) firsts.Add(index);
            return known < 0 ? index : firsts[known];
        })];
    }
}
