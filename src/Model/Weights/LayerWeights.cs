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
    /// <summary>Null where the layer has no attention.</summary>
    public required AttentionWeights? Attention { get; init; }

    /// <summary>What is in attention's place; null as a rule.</summary>
    public required LinearWeights? Linear { get; init; }

    /// <summary>[D]; null where nothing follows it.</summary>
    public required float[]? FfnNorm { get; init; }

    /// <summary>Null where the layer has experts, or no feed-forward.</summary>
    public required FeedForwardWeights? FeedForward { get; init; }

    /// <summary>Null where the layer is dense.</summary>
    public required ExpertWeights? Experts { get; init; }
}

/// <summary>Attention's.</summary>
/// <param name="Norm">[D]</param>
/// <param name="Query">[H * E, D]</param>
/// <param name="Key">[G * E, D]</param>
/// <param name="Value">[G * E, D]</param>
/// <param name="Output">[D, H * E]</param>
/// <param name="Biases">Null as a rule.</param>
sealed record AttentionWeights(float[] Norm, PackedMatrix Query, PackedMatrix Key, PackedMatrix Value, ColumnSlice Output, BiasWeights? Biases);

/// <summary>One matrix in attention's place (<see cref="LayerSizes.IsLinear"/>).</summary>
/// <param name="Norm">[D]</param>
/// <param name="Output">[D, D], of which a rank has some columns.</param>
sealed record LinearWeights(float[] Norm, ColumnSlice Output);

/// <summary>What is added to the outputs of attention's matrices, whole on every rank: of all heads.</summary>
/// <param name="Query">[H * E]; null, as are keys' and values', where only the output has a bias.</param>
/// <param name="Key">[G * E]</param>
/// <param name="Value">[G * E]</param>
/// <param name="Output">[D], added once to the sum of all ranks; null where there is none.</param>
sealed record BiasWeights(float[]? Query, float[]? Key, float[]? Value, float[]? Output);

/// <summary>A SwiGLU feed-forward: a dense layer's, or one expert.</summary>
/// <param name="Gate">[F, D]</param>
/// <param name="Up">[F, D]</param>
/// <param name="Down">[D, F]</param>
sealed record FeedForwardWeights(PackedMatrix Gate, PackedMatrix Up, ColumnSlice Down);

/// <summary>The experts of one layer: of each the rank's own columns, or those that are the rank's own.</summary>
/// <param name="Router">[N, D], whole on every rank: all ranks choose the same experts.</param>
/// <param name="First">The number of the first of <paramref name="Own"/>.</param>
/// <param name="Own">Consecutive experts.</param>
/// <param name="Shared">The one that all rows use, if there is one, of which a rank has its own columns.</param>
sealed record ExpertWeights(PackedMatrix Router, int First, IReadOnlyList<FeedForwardWeights> Own, FeedForwardWeights? Shared);

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
/// blocks with them), the same of every expert or all of its own experts, of the head its rows, norms, biases and routers whole.
/// The embedding is whole on every rank of the first stage: a step reads a few rows of it, for which the ranks need not meet.
/// </summary>
public sealed class ShardParts
{
    readonly Dictionary<string, Func<TensorInfo, TensorPart>> _cuts = new(StringComparer.Ordinal);

    public ShardParts(LlamaConfig config, StageShape shape, StageSlice slice) : this(config, shape, slice, LayersHeld(config, shape, alike: false)) { }

    /// <param name="layers">Those of the stage that are held.</param>
    ShardParts(LlamaConfig config, StageShape shape, StageSlice slice, IEnumerable<int> layers)
    {
        if (shape.Embeds) _cuts.Add(LlamaTensors.Embedding, TensorPart.Whole);
        foreach (var layer in layers) AddLayer(config, layer, slice);
        if (!shape.HasHead) return;
        _cuts.Add(LlamaTensors.OutputNorm, TensorPart.Whole);
        _cuts.TryAdd(HeadName(config), Rows(slice.Vocabulary));
    }

    /// <summary>What of a model a rank holds in memory: where layers are alike, one of each kind.</summary>
    public static ShardParts Held(IModelWeights weights, StageShape shape, StageSlice slice) =>
        new(weights.Config, shape, slice, LayersHeld(weights.Config, shape, weights.LayersAreAlike));

    /// <summary>The stage's layers; where layers are alike, the first of each kind.</summary>
    public static IReadOnlyList<int> LayersHeld(LlamaConfig config, StageShape shape, bool alike)
    {
        List<int> held = [];
        for (var layer = shape.FirstLayer; layer < shape.FirstLayer + shape.LayerCount; layer++)
            if (!alike || !held.Exists(first => config.AreAlike(first, layer))) held.Add(layer);
        return held;
    }

    /// <summary>The head's tensor: the embedding where the two are tied.</summary>
    public static string HeadName(LlamaConfig config) => config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output;

    /// <summary>Null if the rank needs nothing of it.</summary>
    public TensorPart? Of(TensorInfo tensor) => _cuts.TryGetValue(tensor.Name, out var cut) ? cut(tensor) : null;

    /// <summary>Exactly the parts that the rank needs, out of all of a model's tensors.</summary>
    public IReadOnlyList<TensorPart> Of(IReadOnlyList<TensorInfo> tensors) => [.. tensors.Select(Of).OfType<TensorPart>()];

    void AddLayer(LlamaConfig config, int layer, StageSlice slice)
    {
        var (sizes, own) = (config.SizesOf(layer), slice.Of(config, layer));
        if (sizes.HasAttention) AddAttention(Widths(own.Heads, config.HeadSize), Widths(own.KvHeads, config.HeadSize));
        else if (sizes.IsLinear)
        {
            Add(LlamaTensors.AttentionNorm, TensorPart.Whole);
            Add(LlamaTensors.AttentionOutput, Columns(own.Linear));
        }
        if (!config.HasExperts(layer))
        {
            if (!sizes.HasFeedForward) return;
            Add(LlamaTensors.FfnNorm, TensorPart.Whole);
            AddFeedForward("", own.Ffn);
            return;
        }
        Add(LlamaTensors.FfnNorm, TensorPart.Whole);
        var experts = config.Experts!;
        Add(ExpertTensors.Router, TensorPart.Whole);
        for (var expert = slice.Experts.First; expert < slice.Experts.End; expert++) AddFeedForward(ExpertTensors.Suffix(expert), slice.ExpertFfn);
        if (experts.HasShared) AddFeedForward(ExpertTensors.Shared, slice.SharedExpertFfn);

        void AddAttention(IndexRange queries, IndexRange keys)
        {
            Add(LlamaTensors.AttentionNorm, TensorPart.Whole);
            Add(LlamaTensors.Query, Rows(queries));
            Add(LlamaTensors.Key, Rows(keys));
            Add(LlamaTensors.Value, Rows(keys));
            Add(LlamaTensors.AttentionOutput, Columns(queries));
            foreach (var bias in LlamaTensors.BiasesOf(config, layer)) _cuts.Add(bias.Name, TensorPart.Whole);
        }

        void AddFeedForward(string suffix, IndexRange columns)
        {
            Add("ffn_gate" + suffix, Rows(columns));
            Add("ffn_up" + suffix, Rows(columns));
            Add(LlamaTensors.Down + suffix, Columns(columns));
        }

        void Add(string part, Func<TensorInfo, TensorPart> cut) => _cuts.Add(LlamaTensors.OfLayer(layer, part), cut);
    }

    static IndexRange Widths(IndexRange heads, int headSize) => new(heads.First * headSize, heads.Count * headSize);

    static Func<TensorInfo, TensorPart> Rows(IndexRange range) => tensor => TensorPart.Rows(tensor, range.First, range.Count);

    static Func<TensorInfo, TensorPart> Columns(IndexRange range) => tensor => TensorPart.Columns(tensor, range.First, range.Count);
}
