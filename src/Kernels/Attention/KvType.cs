namespace LlamaCluster.Kernels.Attention;

/// <summary>How keys and values are stored in the KV cache.</summary>
public enum KvType
{
    F32 = 0,

    /// <summary>IEEE half. Magnitudes below its smallest normal number (6.1e-5) are stored as zero, which makes reading cheap.</summary>
    F16 = 1,

    /// <summary>Signed bytes; 32 neighbours of a head share a scale (bfloat16, rounded up): 8.5 bits a number.</summary>
    Q8_0 = 2,
}
