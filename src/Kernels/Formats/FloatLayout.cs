using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

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
