using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Model.Config;

/// <summary>How much memory a stage takes beside its weights; for planning, before anything is allocated.</summary>
public static class StageMemory
{
    /// <summary>Rows of logits that are computed at a time: enough to read the head once for several, and little memory.</summary>
    public const int MaxLogitRows = 32;

    /// <summary>Columns by which a rank's slice of a matrix may be wider than its activations: parts of two blocks.</summary>
    const int SharedBlocks = 2 * 256;

    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, KvType type) =>
        KvBytesPerBlock(config, shape, StageSlice.Whole(config), type);

    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage, on one rank.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, StageSlice slice, KvType type) =>
        checked(new KvBlockLayout(type, slice.KvHeads.Count, config.HeadSize).Bytes * shape.LayerCount);

    /// <summary>Bytes of a stage's buffers for steps of up to <paramref name="maxStepRows"/> rows; rounded up, not down.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, int maxStepRows) =>
        BufferBytes(config, shape, StageSlice.Whole(config), maxStepRows);

    /// <summary>As above, on one rank.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, StageSlice slice, int maxStepRows)
    {
        var (query, key) = ((long)slice.Heads.Count * config.HeadSize, (long)slice.KvHeads.Count * config.HeadSize);
        var activations = 2 * (config.HiddenSize + query + key + slice.Ffn.Count + config.RopeDimensionCount);
        // A product's input is held as floats and, for quantised weights, as blocks of bytes with their sums and scales.
        var inputs = 2 * Math.Max(config.HiddenSize, Math.Max(query, slice.Ffn.Count) + (slice.RankCount == 1 ? 0 : SharedBlocks));
        var logits = shape.HasHead ? (long)Math.Min(maxStepRows, MaxLogitRows) * slice.Vocabulary.Count : 0;
        return checked(sizeof(float) * (maxStepRows * (activations + inputs) + logits));
    }
}
