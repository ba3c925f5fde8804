using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Weights;

/// <summary>The weights that one rank of a stage needs, packed for the kernels. Read-only, and safe to share between stages of one process.</summary>
public sealed class ShardWeights : IDisposable
{
    readonly IReadOnlyList<PackedMatrix> _matrices;

    /// <summary>Where the parts go when these weights do. Null: somebody else keeps them.</summary>
    readonly LoadedParts? _owned;

    ShardWeights(WeightLoader loader, IModelWeights source, StageShape shape, StageSlice slice, LoadedParts? owned)
    {
        _owned = owned;
        var config = source.Config;
        Slice = slice;
        if (shape.Embeds) Embedding = loader.Matrix(LlamaTensors.Embedding, config.VocabularySize, config.HiddenSize);
        var held = ShardParts.LayersHeld(config, shape, source.LayersAreAlike)
            .Select(layer => (Layer: layer, Weights: Layer(loader, config, slice, layer))).ToArray();
        Layers = source.LayersAreAlike
            ? [.. Enumerable.Range(shape.FirstLayer, shape.LayerCount).Select(layer => held.First(like => config.AreAlike(like.Layer, layer)).Weights)]
            : [.. held.Select(layer => layer.Weights)];
        if (shape.HasHead)
        {
            OutputNorm = loader.Vector(LlamaTensors.OutputNorm, config.HiddenSize);
            Head = config.TiedEmbeddings && Embedding is not null
                ? new RowSlice(Embedding, slice.Vocabulary.First, slice.Vocabulary.Count)
                : new RowSlice(loader.Matrix(ShardParts.HeadName(config), config.VocabularySize, config.HiddenSize), 0, slice.Vocabulary.Count);
        }
        LinkInOrder();
        _matrices = loader.Matrices;
        Bytes = _matrices.Sum(matrix => matrix.Bytes) + loader.VectorBytes;
    }

    /// <summary>Whose weights these are.</summary>
    public StageSlice Slice { get; }

    /// <summary>The most columns that a matrix has.</summary>
    internal int WidestMatrix => _matrices.Max(matrix => matrix.Columns);

    /// <summary>Resident size.</summary>
    public long Bytes { get; }

    /// <summary>[V, D], on the stage that embeds.</summary>
    internal PackedMatrix? Embedding { get; }

    /// <summary>The stage's layers in order. Where the model's layers are alike, all of a kind are the same object.</summary>
    internal IReadOnlyList<LayerWeights> Layers { get; }

    /// <summary>[D], on the stage with the head.</summary>
    internal float[]? OutputNorm { get; }

    /// <summary>The rank's rows of [V, D], on the stage with the head; rows of the embedding itself where the two are tied.</summary>
    internal RowSlice? Head { get; }

    /// <summary>Lets each product's first matrix know the product that follows it in the forward pass.</summary>
    void LinkInOrder()
    {
        PackedMatrix[] next = Head is null ? [] : [Head.Matrix];
        foreach (var layer in Layers.Reverse())
        {
            if (layer.FeedForward is { } dense) next = Link(dense, next);
            else if (layer.Experts is { } experts) next = LinkExperts(experts, next);
            if ((layer.Attention?.Output ?? layer.Linear?.Output)?.Matrix is not { } output) continue;
            output.Next = next;
            next = [output];
            if (layer.Attention is not { } attention) continue;
            attention.Query.Next = next;
            next = [attention.Query, attention.Key, attention.Value];
        }
    }

    /// <returns>Its first product.</returns>
    static PackedMatrix[] Link(FeedForwardWeights weights, PackedMatrix[] next)
    {
        weights.Down.Matrix.Next = next;
        weights.Gate.Next = [weights.Down.Matrix];
        return [weights.Gate, weights.Up];
    }

    /// <summary>Which expert follows the router or the shared expert is not known before. After an expert comes the next layer, as a rule.</summary>
    static PackedMatrix[] LinkExperts(ExpertWeights experts, PackedMatrix[] next)
    {
        experts.Router.Next = experts.Shared is { } shared ? Link(shared, []) : [];
        foreach (var expert in experts.Own) Link(expert, next);
        return [experts.Router];
    }

    /// <summary>
    /// Exactly the tensors that <see cref="Load(IModelWeights, StageShape, ComputeThreads, IProgress{long}, CancellationToken)"/> reads for a stage that is not
    /// split, out of all of a model's.
    /// </summary>
    public static IReadOnlyList<TensorInfo> TensorsOf(IReadOnlyList<TensorInfo> all, StageShape shape, LlamaConfig config) =>
        [.. new ShardParts(config, shape, StageSlice.Whole(config)).Of(all).Select(part => part.Tensor)];

    /// <summary>
    /// Reads and packs exactly the <see cref="ShardParts.Held"/> of a rank, some rows at a time on all threads, so that never more than a few of them are
    /// held twice.
    /// </summary>
    /// <param name="bytesLoaded">Told how many stored bytes have been read, from any thread, in growing order.</param>
    /// <exception cref="ModelFormatException">A tensor is missing, has another shape than the config says, or cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; everything is freed.</exception>
    public static ShardWeights Load(
        IModelWeights source, StageShape shape, StageSlice slice, ComputeThreads threads, IProgress<long>? bytesLoaded, CancellationToken cancellation)
    {
        var parts = new LoadedParts();
        try
        {
            return Load(source, shape, slice, threads, parts, ownsParts: true, hashes: false, bytesLoaded, cancellation);
        }
        catch
        {
            parts.Dispose();
            throw;
        }
    }

    /// <summary>
    /// As above, with what is in memory already. Parts that are not of this shard are freed first. Parts that were read stay, whatever becomes of the
    /// others, and outlive the shard.
    /// </summary>
    /// <param name="parts">Of the same model.</param>
    /// <param name="hashes">Whether what is read is hashed.</param>
    public static ShardWeights Load(
        IModelWeights source, StageShape shape, StageSlice slice, ComputeThreads threads, LoadedParts parts, bool hashes, IProgress<long>? bytesLoaded,
        CancellationToken cancellation) =>
        Load(source, shape, slice, threads, parts, ownsParts: false, hashes, bytesLoaded, cancellation);

    /// <summary>As above, for the only rank of a stage.</summary>
    public static ShardWeights Load(
        IModelWeights source, StageShape shape, ComputeThreads threads, IProgress<long>? bytesLoaded, CancellationToken cancellation) =>
        Load(source, shape, StageSlice.Whole(source.Config), threads, bytesLoaded, cancellation);

    /// <summary>The resident size of parts, before they are loaded.</summary>
    public static long BytesOf(IEnumerable<TensorPart> parts) => parts.Sum(part => part.Tensor.Rows == 1
        ? sizeof(float) * part.ColumnCount
        : PackedMatrix.BytesOf(part.Tensor.Type, part.RowCount, (int)part.ColumnCount));

    public void Dispose() => _owned?.Dispose();

    static ShardWeights Load(
        IModelWeights source, StageShape shape, StageSlice slice, ComputeThreads threads, LoadedParts parts, bool ownsParts, bool hashes,
        IProgress<long>? bytesLoaded, CancellationToken cancellation)
    {
        if (slice.FirstProblem(source.Config) is { } problem) throw new ArgumentException(problem, nameof(slice));
        var needed = ShardParts.Held(source, shape, slice);
        parts.KeepOnly(needed.Of(source.Tensors));
        using var loader = new WeightLoader(source, needed, parts, hashes, bytesLoaded, cancellation);
        var weights = new ShardWeights(loader, source, shape, slice, ownsParts ? parts : null);
        loader.Run(threads);
        return weights;
    }

    static LayerWeights Layer(WeightLoader loader, LlamaConfig config, StageSlice slice, int layer)
    {
        var (d, sizes, own) = (config.HiddenSize, config.SizesOf(layer), slice.Of(config, layer));
        var (q, kv) = (sizes.HeadCount * config.HeadSize, sizes.KvHeadCount * config.HeadSize);
        string Name(string part) => LlamaTensors.OfLayer(layer, part);
        return new LayerWeights
        {
            Attention = sizes.HasAttention ? Attention() : null,
            Linear = sizes.IsLinear
                ? new(
                    loader.Vector(Name(LlamaTensors.AttentionNorm), d),
                    loader.Columns(Name(LlamaTensors.AttentionOutput), d, d, own.Linear.First, own.LinearUnit))
                : null,
            FfnNorm = config.HasExperts(layer) || sizes.HasFeedForward ? loader.Vector(Name(LlamaTensors.FfnNorm), d) : null,
            FeedForward = config.HasExperts(layer) || !sizes.HasFeedForward ? null : FeedForward("", sizes.FfnSize, own.Ffn.First, own.FfnUnit),
            Experts = config.HasExperts(layer) ? Experts(config.Experts!) : null,
        };

        AttentionWeights Attention() => new(
            loader.Vector(Name(LlamaTensors.AttentionNorm), d), loader.Matrix(Name(LlamaTensors.Query), q, d), loader.Matrix(Name(LlamaTensors.Key), kv, d),
            loader.Matrix(Name(LlamaTensors.Value), kv, d),
            loader.Columns(Name(LlamaTensors.AttentionOutput), d, q, own.Heads.First * config.HeadSize, own.HeadUnit * config.HeadSize),
            config.Biases is AttentionBiases.None ? null : Biases());

        BiasWeights Biases() => new(
            Bias(AttentionBiases.Inputs, LlamaTensors.Query, q), Bias(AttentionBiases.Inputs, LlamaTensors.Key, kv),
            Bias(AttentionBiases.Inputs, LlamaTensors.Value, kv), Bias(AttentionBiases.Output, LlamaTensors.AttentionOutput, d));

        float[]? Bias(AttentionBiases kind, string part, int length) =>
            config.Biases.HasFlag(kind) ? loader.Vector(LlamaTensors.BiasOfLayer(layer, part), length) : null;

        FeedForwardWeights FeedForward(string suffix, int f, int first, int unit) => new(
            loader.Matrix(Name("ffn_gate" + suffix), f, d), loader.Matrix(Name("ffn_up" + suffix), f, d),
            loader.Columns(Name(LlamaTensors.Down + suffix), d, f, first, unit));

        ExpertWeights Experts(ExpertMixture experts) => new(
            loader.Matrix(Name(ExpertTensors.Router), experts.Count, d),
            slice.Experts.First,
            [
                .. Enumerable.Range(slice.Experts.First, slice.Experts.Count).Select(expert =>
                    FeedForward(ExpertTensors.Suffix(expert), experts.FfnSize, slice.ExpertFfn.First, slice.ExpertFfnUnit)),
            ],
            experts.HasShared ? FeedForward(ExpertTensors.Shared, experts.FfnSize, slice.SharedExpertFfn.First, slice.SharedExpertFfnUnit) : null);
    }
}
