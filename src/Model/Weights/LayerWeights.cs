using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Weights;

/// <summary>
/// The weights of one transformer layer that a rank holds. D hidden, F ffn, H heads, G kv heads, E head dim, of F, H and G the rank's own; a matrix
/// is [outputs, inputs].
/// </summary>
sealed record LayerWeights
{
    /// <summary>[D]</summary>
    public required float[] AttentionNorm { get; init; }

    /// <summary>[H * E, D]</summary>
    public required PackedMatrix Query { get; init; }

    /// <summary>[G * E, D]</summary>
    public required PackedMatrix Key { get; init; }

    /// <summary>[G * E, D]</summary>
    public required PackedMatrix Value { get; init; }

    /// <summary>[D, H * E]</summary>
    public required ColumnSlice AttentionOutput { get; init; }

    /// <summary>[D]</summary>
    public required float[] FfnNorm { get; init; }

    /// <summary>[F, D]</summary>
    public required PackedMatrix Gate { get; init; }

    /// <summary>[F, D]</summary>
    public required PackedMatrix Up { get; init; }

    /// <summary>[D, F]</summary>
    public required ColumnSlice Down { get; init; }
}

/// <summary>The rows of a matrix whose outputs one rank computes.</summary>
/// <param name="First">Within the matrix; a multiple of 16.</param>
sealed record RowSlice(PackedMatrix Matrix, int First, int Count);

/// <summary>
/// The columns of a matrix that one rank's activations meet. They are stored in whole blocks, of which the first and the last may hold columns of
/// the ranks beside it as well: there this rank's activations are zero.
/// </summary>
/// <param name="Matrix">[outputs, columns in whole blocks]</param>
/// <param name="First">Which column of the whole matrix its first one is.</param>
/// <param name="Before">Columns of the matrix before the rank's own first one.</param>
/// <param name="SharesBlocks">Somewhere in the group two ranks have columns of one block; the same on every rank.</param>
sealed record ColumnSlice(PackedMatrix Matrix, int First, int Before, bool SharesBlocks);

/// <summary>
/// Which part of each tensor one rank of a stage needs: of Q, K, V, gate and up its rows, of O and down its columns (with those that are stored in
/// blocks with them), of the head its rows, the norms whole. The embedding is whole on every rank of the first stage: a step reads a few
/// rows of it, for which the ranks need not meet.
/// </summary>
public sealed class ShardParts
{
    readonly Dictionary<string, Func<TensorInfo, TensorPart>> _cuts = new(StringComparer.Ordinal);

    public ShardParts(LlamaConfig config, StageShape shape, StageSlice slice) : this(config, shape, slice, shape.LayerCount) { }

    /// <param name="layers">As many of the stage's layers, the first ones.</param>
    ShardParts(LlamaConfig config, StageShape shape, StageSlice slice, int layers)
    {
        if (shape.Embeds) _cuts.Add(LlamaTensors.Embedding, TensorPart.Whole);
        for (var layer = shape.FirstLayer; layer < shape.FirstLayer + layers; layer++) AddLayer(layer, config.HeadSize, slice);
        if (!shape.HasHead) return;
        _cuts.Add(LlamaTensors.OutputNorm, TensorPart.Whole);
        _cuts.TryAdd(HeadName(config), Rows(slice.Vocabulary));
    }

    /// <summary>What of a model a rank holds in memory: where all layers are alike, one of them.</summary>
    public static ShardParts Held(IModelWeights weights, StageShape shape, StageSlice slice) =>
        new(weights.Config, shape, slice, weights.LayersAreAlike ? 1 : shape.LayerCount);

    /// <summary>The head's tensor: the embedding where the two are tied.</summary>
    public static string HeadName(LlamaConfig config) => config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output;

    /// <summary>Null if the rank needs nothing of it.</summary>
    public TensorPart? Of(TensorInfo tensor) => _cuts.TryGetValue(tensor.Name, out var cut) ? cut(tensor) : null;

    /// <summary>Exactly the parts that the rank needs, out of all of a model's tensors.</summary>
    public IReadOnlyList<TensorPart> Of(IReadOnlyList<TensorInfo> tensors) => [.. tensors.Select(Of).OfType<TensorPart>()];

    void AddLayer(int layer, int headSize, StageSlice slice)
    {
        var (queries, keys) = (Widths(slice.Heads, headSize), Widths(slice.KvHeads, headSize));
        Add("attn_norm", TensorPart.Whole);
        Add(LlamaTensors.Query, Rows(queries));
        Add(LlamaTensors.Key, Rows(keys));
        Add("attn_v", Rows(keys));
        Add("attn_output", Columns(queries));
        Add("ffn_norm", TensorPart.Whole);
        Add("ffn_gate", Rows(slice.Ffn));
        Add("ffn_up", Rows(slice.Ffn));
        Add(LlamaTensors.Down, Columns(slice.Ffn));

        void Add(string part, Func<TensorInfo, TensorPart> cut) => _cuts.Add(LlamaTensors.OfLayer(layer, part), cut);
    }

    static IndexRange Widths(IndexRange heads, int headSize) => new(heads.First * headSize, heads.Count * headSize);

    static Func<TensorInfo, TensorPart> Rows(IndexRange range) => tensor => TensorPart.Rows(tensor, range.First, range.Count);

    static Func<TensorInfo, TensorPart> Columns(IndexRange range) => tensor => TensorPart.Columns(tensor, range.First, range.Count);
}
