using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>The names of the types of keys and values, as llama.cpp has them.</summary>
public static class KvTypeMapping
{
    public static string NameOf(KvType type) => type switch { KvType.F32 => "f32", KvType.Q80 => "q8_0", KvType.Q40 => "q4_0", _ => "f16" };
}
