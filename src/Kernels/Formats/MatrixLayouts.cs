using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>How the rows of a tensor type lie in a <see cref="PackedMatrix"/>.</summary>
unsafe interface IMatrixLayout
{
    /// <summary>Packed bytes of a group of <see cref="RowGroup.Rows"/> rows.</summary>
    long GroupBytes(int columns);

    /// <summary>Packs up to <see cref="RowGroup.Rows"/> rows into their group, which is zero where there are no rows.</summary>
    /// <param name="stored">The rows, one after the other, as they are stored.</param>
    /// <exception cref="InvalidDataException">A weight or a scale is infinite or not a number.</exception>
    void Pack(ReadOnlySpan<byte> stored, int rowBytes, byte* group);

    /// <summary>The values of one row of a group.</summary>
    void Decode(byte* group, int row, Span<float> destination);
}

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
        TensorType.IQ4_NL => new QuantLayout<IQ4NLFormat>(type),
        TensorType.IQ4_XS => new QuantLayout<IQ4XSFormat>(type),
        TensorType.IQ3_S => new QuantLayout<IQ3SFormat>(type),
        TensorType.IQ3_XXS => new QuantLayout<IQ3XXSFormat>(type),
        TensorType.IQ2_S => new QuantLayout<IQ2SFormat>(type),
        TensorType.IQ2_XS => new QuantLayout<IQ2XSFormat>(type),
        TensorType.IQ2_XXS => new QuantLayout<IQ2XXSFormat>(type),
        TensorType.IQ1_S => new QuantLayout<IQ1SFormat>(type),
        TensorType.IQ1_M => new QuantLayout<IQ1MFormat>(type),
        TensorType.TQ1_0 => new QuantLayout<TQ1_0Format>(type),
        TensorType.TQ2_0 => new QuantLayout<TQ2_0Format>(type),
        TensorType.MXFP4 => new QuantLayout<MXFP4Format>(type),
        TensorType.NVFP4 => new QuantLayout<NVFP4Format>(type),
        TensorType.Q1_0 => new QuantLayout<Q1_0Format>(type),
        TensorType.Q2_0 => new QuantLayout<Q2_0Format>(type),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };
}

/// <summary>Packing and decoding of a float type: the transposition of 16 rows.</summary>
sealed unsafe class FloatLayout<TFormat> : IMatrixLayout where TFormat : IFloatFormat
{
    const int Rows = RowGroup.Rows;

    /// <summary>Columns that are transposed at a time, so that what is written stays in the first cache.</summary>
    const int Strip = 64;

    public long GroupBytes(int columns) => (long)columns * Rows * TFormat.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(ReadOnlySpan<byte> stored, int rowBytes, byte* group)
    {
        var rows = stored.Length / rowBytes;
        var columns = rowBytes / TFormat.Bytes;
        fixed (byte* source = stored)
        {
            for (var strip = 0; strip < columns; strip += Strip)
                for (var row = 0; row < rows; row++)
                    PackRow(source + (long)row * rowBytes, strip, Math.Min(columns, strip + Strip), group, row);
        }
    }

    public void Decode(byte* group, int row, Span<float> destination)
    {
        for (var c = 0; c < destination.Length; c++)
            destination[c] = BitConverter.UInt32BitsToSingle(TFormat.Load<ScalarLanes, uint>(group + ((long)c * Rows + row) * TFormat.Bytes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void PackRow(byte* source, int column, int end, byte* group, int row)
    {
        for (; column < end; column++)
        {
            var weight = source + column * TFormat.Bytes;
            if (!TFormat.IsFinite(weight)) throw new InvalidDataException("a weight is infinite or not a number");
            Unsafe.CopyBlockUnaligned(group + ((long)column * Rows + row) * TFormat.Bytes, weight, (uint)TFormat.Bytes);
        }
    }
}
