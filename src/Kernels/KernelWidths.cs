using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

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

    /// <summary>512-bit vectors and the VNNI dot product, by machine code: .NET has no such instruction.</summary>
    Avx512Vnni,
}

/// <summary>What this processor offers of <see cref="KernelWidth"/>, and what is used of it.</summary>
public static class KernelWidths
{
    /// <summary>The width that the products of this process use: the widest that the processor has.</summary>
    public static KernelWidth Chosen { get; } = Enum.GetValues<KernelWidth>().Where(IsSupported).Max();

    /// <summary>The chosen width for logs and profiles: "avx512-vnni", "avx512", "avx-vnni", "avx2", "neon-dot", "neon", "vector128" or "scalar".</summary>
    public static string Name => Chosen switch
    {
        KernelWidth.Avx512Vnni => "avx512-vnni",
        KernelWidth.Avx512 => "avx512",
        KernelWidth.AvxVnni => "avx-vnni",
        KernelWidth.Avx2 => "avx2",
        KernelWidth.Vector128 when Dp.IsSupported => "neon-dot",
        KernelWidth.Vector128 when AdvSimd.IsSupported => "neon",
        KernelWidth.Vector128 => "vector128",
        _ => "scalar",
    };

    public static bool IsSupported(KernelWidth width) => width switch
    {
        KernelWidth.Scalar => true,
        KernelWidth.Vector128 => Vector128.IsHardwareAccelerated,
        KernelWidth.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        KernelWidth.AvxVnni => Avx2.IsSupported && Fma.IsSupported && AvxVnni.IsSupported,
        KernelWidth.Avx512 => Avx512BW.IsSupported,
        KernelWidth.Avx512Vnni => CodePages.IsSupported,
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };
}
