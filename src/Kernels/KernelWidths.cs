using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels;

/// <summary>What this processor offers of <see cref="KernelWidth"/>, and what is used of it.</summary>
public static class KernelWidths
{
    /// <summary>The width that the products of this process use: the widest that the processor has.</summary>
    public static KernelWidth Chosen { get; } = Enum.GetValues<KernelWidth>().Where(IsSupported).Max();

    /// <summary>The chosen width for logs and profiles: "avx512", "avx-vnni", "avx2", "neon-dot", "neon", "vector128" or "scalar".</summary>
    public static string Name => Chosen switch
    {
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
        KernelWidth.Avx2 => Avx2Lanes.IsSupported,
        KernelWidth.AvxVnni => Avx2Lanes.HasDot,
        KernelWidth.Avx512 => Avx512Lanes.IsSupported,
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };
}
