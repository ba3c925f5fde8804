using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The product with weights of a type that has machine code of its own (<see cref="RowDots"/>): the same bits as without it.</summary>
sealed unsafe class RowDotProduct<TFormat>(TensorType type) : IProduct where TFormat : IQuantFormat
{
    readonly delegate* unmanaged<byte*, ActivationBlock*, float*, nint, nint, byte*, void> _one = RowDots.For(type, manyRows: false);
    readonly delegate* unmanaged<byte*, ActivationBlock*, float*, nint, nint, byte*, void> _many = RowDots.For(type, manyRows: true);
    readonly byte* _tables = GridTables512.Of(type);

    public int BlocksPerScale => QuantLayout<TFormat>.ActivationBlocksPerScale;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var memory = stackalloc byte[(ProductTask.TileRows + 1) * RowGroup.Rows * sizeof(float)];
        var totals = (float*)(((nuint)memory + 63) & ~(nuint)63);
        var headers = task.Columns / ActivationBlock.Columns / TFormat.BlocksPerHeader;
        for (var firstRow = 0; firstRow < task.Batch; firstRow += ProductTask.TileRows)
        {
            var tile = task.Tile(firstRow);
            for (var group = firstGroup; group < endGroup; group++)
            {
                var weights = tile.Weights + group * tile.GroupBytes;
                if (tile.Batch == 1)
                {
                    _one(weights, tile.Blocks, totals, headers, 1, _tables);
                }
                else
                {
                    new Span<float>(totals, tile.Batch * RowGroup.Rows).Clear();
                    _many(weights, tile.Blocks, totals, headers, tile.Batch, _tables);
                }
                tile.Store(totals, group, 0, tile.Batch);
            }
        }
    }
}
