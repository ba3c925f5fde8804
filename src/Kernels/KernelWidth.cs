namespace LlamaCluster.Kernels;

/// <summary>The instruction sets that the matrix products are compiled for. All of them give the same bits.</summary>
public enum KernelWidth
{
    /// <summary>One row at a time, without vector instructions.</summary>
    Scalar,

    /// <summary>128-bit vectors: Arm NEON (with its dot product where there is one) and x86 without AVX2.</summary>
    Vector128,

    /// <summary>256-bit vectors with FMA.</summary>
    Avx2,

    /// <summary>256-bit vectors with FMA and the VNNI dot product.</summary>
    AvxVnni,

    /// <summary>512-bit vectors (F and BW).</summary>
    Avx512,
}
