using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The operands of one matrix product y[B, R] = x[B, C] . w[R, C]^T.</summary>
unsafe struct ProductTask
{
    /// <summary>w, packed, in groups of <see cref="RowGroup.Rows"/> rows.</summary>
    public byte* Weights;

    public long GroupBytes;

    /// <summary>R.</summary>
    public int Rows;

    /// <summary>C.</summary>
    public int Columns;

    /// <summary>B.</summary>
    public int Batch;

    /// <summary>x[B, C], row after row.</summary>
    public float* Floats;

    /// <summary>
    /// x in blocks of 32 columns: tile after tile of <see cref="TileRows"/> rows (the last one may have fewer), in a tile block after block, the rows of
    /// a block together. Null where the product takes floats.
    /// </summary>
    public ActivationBlock* Blocks;

    /// <summary>y[B, R], row after row.</summary>
    public float* Output;

    /// <summary>Rows of activations that go through a group of weights together: what a core's second cache holds of a few thousand columns.</summary>
    public const int TileRows = 64;

    /// <summary>Copies totals[rows, 16] of one group to their places in y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(float* totals, int group, int firstRow, int rows)
    {
        var column = group * RowGroup.Rows;
        var count = Math.Min(RowGroup.Rows, Rows - column);
        for (var t = 0; t < rows; t++)
        {
            var row = new Span<float>(totals + t * RowGroup.Rows, count);
            row.CopyTo(new Span<float>(Output + (long)(firstRow + t) * Rows + column, count));
        }
    }
}
