using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>How much memory a stage takes beside its weights; for planning, before anything is allocated.</summary>
public static class StageMemory
{
    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, KvType type) =>
        checked(new KvBlockLayout(type, config.KvHeadCount, config.HeadSize).Bytes * shape.LayerCount);

    /// <summary>Bytes of a stage's buffers for steps of up to <paramref name="maxStepRows"/> rows; rounded up, not down.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, int maxStepRows)
    {
        var (query, key) = ((long)config.HeadCount * config.HeadSize, (long)config.KvHeadCount * config.HeadSize);
        var activations = 2 * (config.HiddenSize + query + key + config.FfnSize + config.RopeDimensionCount);
        // A product's input is held as floats and, for quantised weights, as blocks of bytes with their sums and scales.
        var inputs = 2 * Math.Max(config.HiddenSize, Math.Max(query, config.FfnSize));
        var logits = shape.HasHead ? (long)Math.Min(maxStepRows, StageBuffers.MaxLogitRows) * config.VocabularySize : 0;
        return checked(sizeof(float) * (maxStepRows * (activations + inputs) + logits));
    }
}
