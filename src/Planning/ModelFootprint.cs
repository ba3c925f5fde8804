using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning;

/// <summary>The sizes of a model that planning reckons with.</summary>
/// <param name="HiddenSize">D.</param>
/// <param name="HeadCount">H, a multiple of G.</param>
/// <param name="KvHeadCount">G.</param>
/// <param name="FfnSize">F.</param>
/// <param name="VocabularySize">V.</param>
/// <param name="ContextLength">The longest sequence the model was made for, in tokens.</param>
/// <param name="TiedEmbeddings">The head is the embedding matrix.</param>
public sealed record ModelSizes(int HiddenSize, int HeadCount, int KvHeadCount, int FfnSize, int VocabularySize, int ContextLength, bool TiedEmbeddings);

/// <summary>What a model's parts weigh; all that planning needs to know of it.</summary>
/// <param name="Embedding">On the first stage; only the rows of a step's tokens are read.</param>
/// <param name="Head">On the last stage: the output matrix (the embedding again, if tied).</param>
/// <param name="KvBlockBytes">Of one KV block (16 positions) in one layer, all KV heads.</param>
/// <param name="ColumnBlock">Feed-forward columns that are stored together; see <see cref="SplitSizes"/>.</param>
public sealed record ModelFootprint(
    string Name, ModelSizes Sizes, IReadOnlyList<LayerFootprint> Layers, TypedWeights Embedding, TypedWeights Head, long KvBlockBytes,
    int ColumnBlock)
{
    /// <summary>A worker holds the weights of one layer only, however many it runs.</summary>
    public bool LayersAreAlike { get; init; }

    public int LayerCount => Layers.Count;

    /// <summary>For each layer, the first one that weighs the same.</summary>
    public IReadOnlyList<int> LayerKinds { get; } = KindsOf(Layers);

    /// <summary>Bytes of keys and values of one position in one layer.</summary>
    public double KvPositionBytes => (double)KvBlockBytes / KvBlock.Positions;

    /// <summary>What a tensor group divides.</summary>
    public SplitSizes SplitSizes => new()
    {
        HeadCount = Sizes.HeadCount,
        KvHeadCount = Sizes.KvHeadCount,
        FfnSize = Sizes.FfnSize,
        VocabularySize = Sizes.VocabularySize,
        ColumnBlock = ColumnBlock,
    };

    public double Bytes => Layers.Sum(layer => layer.Bytes) + Embedding.Bytes + (Sizes.TiedEmbeddings ? 0 : Head.Bytes);

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
