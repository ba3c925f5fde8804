using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The product of each tensor type at each width.</summary>
static class ProductTable
{
    /// <summary>Made once, for products are compiled when they first run.</summary>
    static readonly Dictionary<(TensorType Type, KernelWidth Width), IProduct> Made = [];

    public static IProduct For(TensorType type, KernelWidth width)
    {
        if (!KernelWidths.IsSupported(width)) throw new PlatformNotSupportedException($"this processor does not run {width} kernels");
        lock (Made)
        {
            if (!Made.TryGetValue((type, width), out var product)) Made.Add((type, width), product = Make(type, width));
            return product;
        }
    }

    static IProduct Make(TensorType type, KernelWidth width) => type switch
    {
        TensorType.F32 => Float<F32Format>(width),
        TensorType.F16 => Float<F16Format>(width),
        TensorType.BF16 => Float<BF16Format>(width),
        TensorType.Q4_0 => Quant<Q4_0Format>(width),
        TensorType.Q4_1 => Quant<Q4_1Format>(width),
        TensorType.Q5_0 => Quant<Q5_0Format>(width),
        TensorType.Q5_1 => Quant<Q5_1Format>(width),
        TensorType.Q8_0 => Quant<Q8_0Format>(width),
        TensorType.Q2_K => Quant<Q2KFormat>(width),
        TensorType.Q3_K => Quant<Q3KFormat>(width),
        TensorType.Q4_K => Quant<Q4KFormat>(width),
        TensorType.Q5_K => Quant<Q5KFormat>(width),
        TensorType.Q6_K => Quant<Q6KFormat>(width),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };

    /// <summary>Scaled sums of 16 columns cost VNNI a 32-bit product each; there pairs are faster even with VNNI at hand.</summary>
    static IProduct Quant<TFormat>(KernelWidth width) where TFormat : IQuantFormat => width switch
    {
        KernelWidth.Avx512 => new QuantProduct<TFormat, Avx512Lanes, PairSums<Avx512Lanes, Vector512<byte>>, Vector512<byte>>(),
        KernelWidth.AvxVnni when TFormat.CodeBits is 4 or 5 or 8 =>
            new QuantProduct<TFormat, Avx2Lanes, DotSums<Avx2Lanes, Vector256<byte>>, Vector256<byte>>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new QuantProduct<TFormat, Avx2Lanes, PairSums<Avx2Lanes, Vector256<byte>>, Vector256<byte>>(),
        KernelWidth.Vector128 => new QuantProduct<TFormat, Vector128Lanes, DotSums<Vector128Lanes, Vector128<byte>>, Vector128<byte>>(),
        _ => new QuantProduct<TFormat, ScalarLanes, DotSums<ScalarLanes, uint>, uint>(),
    };

    static IProduct Float<TFormat>(KernelWidth width) where TFormat : IFloatFormat => width switch
    {
        KernelWidth.Avx512 => new FloatProduct<TFormat, Avx512Lanes, Vector512<byte>>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new FloatProduct<TFormat, Avx2Lanes, Vector256<byte>>(),
        KernelWidth.Vector128 => new FloatProduct<TFormat, Vector128Lanes, Vector128<byte>>(),
        _ => new FloatProduct<TFormat, ScalarLanes, uint>(),
    };
}
