using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>Packing and decoding of a quantised type; the layout is described at <see cref="IQuantFormat"/>.</summary>
sealed unsafe class QuantLayout<TFormat>(TensorType type) : IMatrixLayout where TFormat : IQuantFormat
{
    const int Rows = RowGroup.Rows;

    /// <summary>Bytes of the half-precision scales and minima of 16 rows.</summary>
    public static int HeaderBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Rows * sizeof(ushort) * ((TFormat.HasScale ? 1 : 0) + (TFormat.HasMinima ? 1 : 0));
    }

    /// <summary>Bytes A, B, C of 16 rows.</summary>
    public static int SmallBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TFormat.SmallBytes * Rows;
    }

    /// <summary>Bytes of 32 columns of 16 rows, without the header.</summary>
    public static int BlockBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => SmallBytes + TFormat.CodeBits * CodePlanes.VectorBytes;
    }

    /// <summary>
    /// Activations are scaled by 32 columns, or by 256 where as many of the weights share a scale, as llama.cpp does: blocks of 32 that share one.
    /// </summary>
    public static int ActivationBlocksPerScale => TFormat.BlocksPerHeader == 8 ? 8 : 1;

    static int HeaderColumns => TFormat.BlocksPerHeader * ActivationBlock.Columns;

    /// <summary>Bytes of a header and its blocks, of 16 rows.</summary>
    public static int HeaderAndBlocksBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => HeaderBytes + TFormat.BlocksPerHeader * BlockBytes;
    }

    public long GroupBytes(int columns) => (long)columns / HeaderColumns * HeaderAndBlocksBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(ReadOnlySpan<byte> stored, int rowBytes, byte* group)
    {
        var rows = stored.Length / rowBytes;
        var storedBytes = type.BlockBytes();
        for (var offset = 0; offset < rowBytes; offset += storedBytes)
        {
            for (var row = 0; row < rows; row++)
                PackBlocks(stored.Slice(row * rowBytes + offset, storedBytes), group, row);
            group += HeaderAndBlocksBytes;
        }
    }

    public void Decode(byte* group, int row, Span<float> destination)
    {
        for (; destination.Length > 0; destination = destination[HeaderColumns..])
        {
            var scale = TFormat.HasScale ? (float)Unsafe.ReadUnaligned<Half>(group + row * sizeof(ushort)) : 0;
            var min = TFormat.HasMinima ? (float)Unsafe.ReadUnaligned<Half>(group + (Rows + row) * sizeof(ushort)) : 0;
            for (var b = 0; b < TFormat.BlocksPerHeader; b++)
            {
                var block = group + HeaderBytes + b * BlockBytes;
                byte* small = block + row, planes = block + SmallBytes + row * sizeof(uint);
                var codes = TFormat.Load<ScalarLanes, DotSums<ScalarLanes, uint>, uint>(small, planes, out _);
                var bytes = (byte*)&codes;
                for (var c = 0; c < ActivationBlock.Columns; c++)
                    destination[b * ActivationBlock.Columns + c] = TFormat.Value(bytes[c], scale, min, small, planes, c >= ActivationBlock.Columns / 2);
            }

            group += HeaderAndBlocksBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void PackBlocks(ReadOnlySpan<byte> stored, byte* group, int row)
    {
        for (var b = 0; b < TFormat.BlocksPerHeader; b++)
        {
            var block = TFormat.Read(stored, b);
            if (b == 0) PackHeader(block, group, row);
            var packed = group + HeaderBytes + b * BlockBytes;
            if (TFormat.SmallBytes > 0) packed[row] = block.A;
            if (TFormat.SmallBytes > 1) packed[Rows + row] = block.B;
            if (TFormat.SmallBytes > 2) packed[2 * Rows + row] = block.C;
            TFormat.Store(packed + SmallBytes + row * sizeof(uint), block);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void PackHeader(in StoredBlock block, byte* group, int row)
    {
        if (!IsFinite(block.Scale) || !IsFinite(block.Min)) throw new InvalidDataException("a block's scale is infinite or not a number");
        if (TFormat.HasScale) Unsafe.WriteUnaligned(group + row * sizeof(ushort), block.Scale);
        if (TFormat.HasMinima) Unsafe.WriteUnaligned(group + (Rows + row) * sizeof(ushort), block.Min);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsFinite(ushort half) => (half & 0x7c00) != 0x7c00;
}
