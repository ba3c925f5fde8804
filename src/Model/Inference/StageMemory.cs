using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>How much memory a stage takes beside its weights; for planning, before anything is allocated.</summary>
public static class StageMemory
{
    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, KvType type) =>
        checked(new KvBlockLayout(type, config.KvHeadCount, config.HeadSize).Bytes * shape.LayerCount);
}
