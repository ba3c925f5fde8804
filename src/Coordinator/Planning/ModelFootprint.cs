using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Planning;

/// <summary>What a model's parts weigh, in bytes; all that planning needs to know of it.</summary>
/// <param name="LayerBytes">Weights of each layer.</param>
/// <param name="EmbeddingBytes">On the first stage.</param>
/// <param name="HeadBytes">On the last stage: final norm and output matrix (the embedding again, if tied).</param>
/// <param name="TiedHead">Embedding and output matrix are the same, so that a lone stage has it only once.</param>
/// <param name="KvBlockBytes">Of one KV block in one layer.</param>
public sealed record ModelFootprint(IReadOnlyList<long> LayerBytes, long EmbeddingBytes, long HeadBytes, bool TiedHead, long KvBlockBytes)
{
    /// <summary>A worker holds the weights of one layer only, however many it runs; see <see cref="IModelWeights.LayersAreAlike"/>.</summary>
    public bool LayersAreAlike { get; init; }

    public int LayerCount => LayerBytes.Count;

    /// <summary>What a stage's memory must hold beside the KV cache.</summary>
    public long WeightBytes(int firstLayer, int layerCount)
    {
        var (embeds, hasHead) = (firstLayer == 0, firstLayer + layerCount == LayerCount);
        var embedding = embeds && !(hasHead && TiedHead) ? EmbeddingBytes : 0;
        return LayersBytes(firstLayer, LayersAreAlike ? Math.Min(1, layerCount) : layerCount) + embedding + (hasHead ? HeadBytes : 0);
    }

    /// <summary>What a stage reads of its weights for every step: of the embedding no more than a few rows.</summary>
    public long BytesPerStep(int firstLayer, int layerCount)
        => LayersBytes(firstLayer, layerCount) + (firstLayer + layerCount == LayerCount ? HeadBytes : 0);

    public static ModelFootprint Of(IModelWeights weights, KvType kvType)
    {
        var config = weights.Config;
        var layers = new long[config.LayerCount];
        for (var layer = 0; layer < layers.Length; layer++)
        {
            var prefix = $"blk.{layer}.";
            layers[layer] = weights.Tensors.Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal)).Sum(tensor => tensor.Bytes);
        }
        var embedding = BytesOf(weights, LlamaTensors.Embedding);
        var head = BytesOf(weights, LlamaTensors.OutputNorm) + (config.TiedEmbeddings ? embedding : BytesOf(weights, LlamaTensors.Output));
        var kvValues = 2L * config.KvHeadCount * config.HeadSize * KvBlockPool.BlockSize;
        return new ModelFootprint(layers, embedding, head, config.TiedEmbeddings, KvBytes(kvType, kvValues)) { LayersAreAlike = weights.LayersAreAlike };
    }

    long LayersBytes(int first, int count)
    {
        var bytes = 0L;
        for (var layer = first; layer < first + count; layer++) bytes += LayerBytes[layer];
        return bytes;
    }

    static long BytesOf(IModelWeights weights, string tensor) => weights.Find(tensor)?.Bytes ?? 0;

    /// <param name="values">Keys and values.</param>
    static long KvBytes(KvType type, long values) => type switch
    {
        KvType.F32 => values * 4,
        KvType.F16 => values * 2,
        KvType.Q80 => values / 32 * 34,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a KV type"),
    };
}
