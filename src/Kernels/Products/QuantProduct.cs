using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product with quantised weights, one loop for every batch size. A block of weights is unpacked into registers once and
/// meets that block of all rows of the tile, each adding to its own total; the totals lie in the first cache, where they cost a
/// load and a store that the multipliers do not notice. With one row this runs at the speed of memory, with many at that of the multipliers,
/// and a row's total goes through the same operations in the same order in either case.
/// </summary>
sealed unsafe class QuantProduct<TFormat, TLanes, TSums, V> : IProduct
    where TFormat : IQuantFormat
    where TLanes : ILanes<V>
    where TSums : IBlockSums<V>
    where V : struct
{
    public int BlocksPerScale => QuantLayout<TFormat>.ActivationBlocksPerScale;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var memory = stackalloc byte[(ProductTask.TileRows + 1) * RowGroup.Rows * sizeof(float)];
        var totals = (float*)(((nuint)memory + 63) & ~(nuint)63);
        var blocks = task.Columns / ActivationBlock.Columns;
        for (var firstRow = 0; firstRow < task.Batch; firstRow += ProductTask.TileRows)
        {
            var rows = Math.Min(ProductTask.TileRows, task.Batch - firstRow);
            var x = task.Blocks + (long)firstRow * blocks;
            for (var group = firstGroup; group < endGroup; group++)
            {
                new Span<float>(totals, rows * RowGroup.Rows).Clear();
                AddGroup(task.Weights + group * task.GroupBytes, blocks / TFormat.BlocksPerHeader, x, rows, totals);
                task.Store(totals, group, firstRow, rows);
            }
        }
    }

    /// <summary>totals[rows, 16] += x[rows, C] . w[16, C]^T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddGroup(byte* weights, int headers, ActivationBlock* x, int rows, float* totals)
    {
        for (var h = 0; h < headers; h++)
        {
            for (var lane = 0; lane < RowGroup.Rows; lane += TLanes.Count)
                AddBlocks(weights, lane, x, rows, totals + lane);
            weights += QuantLayout<TFormat>.HeaderAndBlocksBytes;
            x += TFormat.BlocksPerHeader * rows;
        }
    }

    /// <summary>The blocks of one header, for the rows of one register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void AddBlocks(byte* header, int lane, ActivationBlock* x, int rows, float* totals)
    {
        var scale = TFormat.HasScale ? HalfLanes<TLanes, V>.Load(header + lane * sizeof(ushort)) : default;
        var min = TFormat.HasMinima ? HalfLanes<TLanes, V>.Load(header + (RowGroup.Rows + lane) * sizeof(ushort)) : default;
        var block = header + QuantLayout<TFormat>.HeaderBytes;
        for (var b = 0; b < TFormat.BlocksPerHeader; b++)
        {
            if (lane == 0) FetchAhead(block, rows);
            byte* small = block + lane, planes = block + QuantLayout<TFormat>.SmallBytes + lane * sizeof(uint);
            var scales = TFormat.Scales<TLanes, TSums, V>(scale, min, small, planes);
            var codes = TFormat.Load<TLanes, TSums, V>(small, planes, out var upper);

            var total = totals;
            for (var end = x + rows; x < end; x++, total += RowGroup.Rows)
                TLanes.Store(TFormat.Add<TLanes, TSums, V>(TLanes.Load(total), codes, upper, scales, x), total);
            block += QuantLayout<TFormat>.BlockBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void FetchAhead(byte* block, int rows)
    {
        if (rows > 1) WeightsAhead<TFormat, TLanes, V>.Fetch(block);
        else PagesAhead.Fetch<TLanes, V>(block);
    }
}
