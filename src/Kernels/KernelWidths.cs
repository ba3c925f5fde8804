using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels;

/// <summary>What this processor offers of <see cref="KernelWidth"/>, and what is used of it.</summary>
public static class KernelWidths
{
    /// <summary>The width that the products of this process use: the widest that the processor has.</summary>
    public static KernelWidth Chosen { get; } = Enum.GetValues<KernelWidth>().Where(IsSupported).Max();

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
