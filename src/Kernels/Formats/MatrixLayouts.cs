using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>The layout of each tensor type.</summary>
static class MatrixLayouts
{
    public static IMatrixLayout For(TensorType type) => type switch
    {
        TensorType.F32 => new FloatLayout<F32Format>(),
        TensorType.F16 => new FloatLayout<F16Format>(),
        TensorType.BF16 => new FloatLayout<BF16Format>(),
        TensorType.Q4_0 => new QuantLayout<Q4_0Format>(type),
        TensorType.Q4_1 => new QuantLayout<Q4_1Format>(type),
        TensorType.Q5_0 => new QuantLayout<Q5_0Format>(type),
        TensorType.Q5_1 => new QuantLayout<Q5_1Format>(type),
        TensorType.Q8_0 => new QuantLayout<Q8_0Format>(type),
        TensorType.Q2_K => new QuantLayout<Q2KFormat>(type),
        TensorType.Q3_K => new QuantLayout<Q3KFormat>(type),
        TensorType.Q4_K => new QuantLayout<Q4KFormat>(type),
        TensorType.Q5_K => new QuantLayout<Q5KFormat>(type),
        TensorType.Q6_K => new QuantLayout<Q6KFormat>(type),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };
}
