using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Inference;

/// <summary>The weights that one stage needs, packed for the kernels. Read-only, and safe to share between stages of one process.</summary>
public sealed class ShardWeights : IDisposable
{
    readonly IReadOnlyList<PackedMatrix> _matrices;

    ShardWeights(WeightLoader loader, IModelWeights source, StageShape shape)
    {
        var config = source.Config;
        if (shape.Embeds) Embedding = loader.Matrix(LlamaTensors.Embedding, config.VocabularySize, config.HiddenSize);
        var loaded = Enumerable.Range(shape.FirstLayer, source.LayersAreAlike ? 1 : shape.LayerCount).Select(layer => Layer(loader, config, layer)).ToArray();
        Layers = source.LayersAreAlike ? [.. Enumerable.Repeat(loaded[0], shape.LayerCount)] : loaded;
        if (shape.HasHead)
        {
            OutputNorm = loader.Vector(LlamaTensors.OutputNorm, config.HiddenSize);
            Head = config.TiedEmbeddings && Embedding is not null
                ? Embedding
                : loader.Matrix(HeadName(config), config.VocabularySize, config.HiddenSize);
        }
        _matrices = loader.Matrices;
        Bytes = _matrices.Sum(matrix => matrix.Bytes) + loader.VectorBytes;
    }

    /// <summary>Resident size.</summary>
    public long Bytes { get; }

    /// <summary>[V, D], on the stage that embeds.</summary>
    internal PackedMatrix? Embedding { get; }

    /// <summary>Those of the stage, its first one first; one and the same where the model's layers are alike.</summary>
    internal IReadOnlyList<LayerWeights> Layers { get; }

    /// <summary>[D], on the stage with the head.</summary>
    internal float[]? OutputNorm { get; }

    /// <summary>[V, D], on the stage with the head; the embedding itself where the two are tied.</summary>
    internal PackedMatrix? Head { get; }

    /// <summary>Exactly the tensors that <see cref="Load"/> reads for a stage, out of all of a model's.</summary>
    public static IReadOnlyList<TensorInfo> TensorsOf(IReadOnlyList<TensorInfo> all, StageShape shape, LlamaConfig config)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        if (shape.Embeds) names.Add(LlamaTensors.Embedding);
        if (shape.HasHead) names.UnionWith([LlamaTensors.OutputNorm, HeadName(config)]);
        for (var layer = shape.FirstLayer; layer < shape.FirstLayer + shape.LayerCount; layer++)
            names.UnionWith(LayerParts.Select(part => LlamaTensors.OfLayer(layer, part)));
        return [.. all.Where(tensor => names.Contains(tensor.Name))];
    }

    /// <summary>
    /// Reads and packs the stage's tensors, some rows at a time on all threads, so that never more than a few of them are held twice.
    /// </summary>
    /// <param name="bytesLoaded">Told how many stored bytes have been read, from any thread, in growing order.</param>
    /// <exception cref="ModelFormatException">A tensor is missing, has another shape than the config says, or cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; everything is freed.</exception>
    public static ShardWeights Load(
        IModelWeights source, StageShape shape, ComputeThreads threads, IProgress<long>? bytesLoaded, CancellationToken cancellation)
    {
        var loader = new WeightLoader(source, bytesLoaded, cancellation);
        try
        {
            var weights = new ShardWeights(loader, source, shape);
            loader.Run(threads);
            return weights;
        }
        catch
        {
            foreach (var matrix in loader.Matrices) matrix.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var matrix in _matrices) matrix.Dispose();
    }

    static IReadOnlyList<string> LayerParts { get; } =
        ["attn_norm", LlamaTensors.Query, LlamaTensors.Key, "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"];

    static string HeadName(LlamaConfig config) => config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output;

    static LayerWeights Layer(WeightLoader loader, LlamaConfig config, int layer)
    {
        var (d, f) = (config.HiddenSize, config.FfnSize);
        var (q, kv) = (config.HeadCount * config.HeadSize, config.KvHeadCount * config.HeadSize);
        string Name(string part) => LlamaTensors.OfLayer(layer, part);
        return new LayerWeights
        {
            AttentionNorm = loader.Vector(Name("attn_norm"), d),
            Query = loader.Matrix(Name(LlamaTensors.Query), q, d),
            Key = loader.Matrix(Name(LlamaTensors.Key), kv, d),
            Value = loader.Matrix(Name("attn_v"), kv, d),
            AttentionOutput = loader.Matrix(Name("attn_output"), d, q),
            FfnNorm = loader.Vector(Name("ffn_norm"), d),
            Gate = loader.Matrix(Name("ffn_gate"), f, d),
            Up = loader.Matrix(Name("ffn_up"), f, d),
            Down = loader.Matrix(Name("ffn_down"), d, f),
        };
    }
}
