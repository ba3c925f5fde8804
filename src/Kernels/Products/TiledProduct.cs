using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using V = System.Runtime.Intrinsics.Vector256<byte>;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product by AVX2 with weights of types whose codes of 8 and of 7 bits go by magnitudes and signs (<see cref="SignSums{TLanes, V}"/>), which 16 registers
/// do not hold. A block of a group is unpacked into the first cache, and from there meets two activation rows at a time, so that each code that is loaded
/// serves twice, and each activation does. Few rows go by <see cref="QuantProduct{TFormat, TLanes, TSums, V}"/>, as do types of fewer bits, which gain nothing
/// so. Both give the same bits.
/// </summary>
/// <param name="one">What computes a product of one row, if that is not what computes few.</param>
sealed unsafe class TiledProduct<TFormat, TSums>(IProduct? one = null) : IProduct where TFormat : IQuantFormat where TSums : ITileSums
{
    readonly QuantProduct<TFormat, Avx2Lanes, SignSums<Avx2Lanes, V>, V> _few = new();

    public int BlocksPerScale => _few.BlocksPerScale;

    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var blocks = task.Columns / ActivationBlock.Columns;
        for (var firstRow = 0; firstRow < task.Batch; firstRow += ProductTask.TileRows)
        {
            var tile = task.Tile(firstRow);
            if (tile.Batch == 1 && one is not null) one.Run(tile, firstGroup, endGroup);
            else if (tile.Batch < TSums.LeastRows) _few.Run(tile, firstGroup, endGroup);
            else RunTile(tile, blocks / TFormat.BlocksPerHeader, firstGroup, endGroup);
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void RunTile(in ProductTask tile, int headers, int firstGroup, int endGroup)
    {
        var memory = stackalloc byte[ProductTask.TileRows * RowGroup.Rows * sizeof(float) + sizeof(TileOperands) + 63];
        var operands = (TileOperands*)(((nuint)memory + 63) & ~(nuint)63);
        var totals = (float*)(operands + 1);
        for (var group = firstGroup; group < endGroup; group++)
        {
            new Span<float>(totals, tile.Batch * RowGroup.Rows).Clear();
            AddGroup(tile.Weights + group * tile.GroupBytes, headers, tile.Blocks, tile.Batch, operands, totals);
            tile.Store(totals, group, 0, tile.Batch);
        }
    }

    /// <summary>totals[rows, 16] += x[rows, C] . w[16, C]^T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddGroup(byte* weights, int headers, ActivationBlock* x, int rows, TileOperands* operands, float* totals)
    {
        for (var h = 0; h < headers; h++)
        {
            var block = weights + QuantLayout<TFormat>.HeaderBytes;
            for (var b = 0; b < TFormat.BlocksPerHeader; b++)
            {
                WeightsAhead<TFormat, Avx2Lanes, V>.Fetch(block);
                Unpack(weights, block, 0, operands);
                Unpack(weights, block, Avx2Lanes.Count, operands);
                AddBlock(operands, x, rows, totals);
                block += QuantLayout<TFormat>.BlockBytes;
                x += rows;
            }
            weights += QuantLayout<TFormat>.HeaderAndBlocksBytes;
        }
    }

    /// <summary>Codes and scales of 8 rows of a block, from row <paramref name="lane"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Unpack(byte* header, byte* block, int lane, TileOperands* operands)
    {
        var scale = HalfLanes<Avx2Lanes, V>.Load(header + lane * sizeof(ushort));
        byte* small = block + lane, planes = block + QuantLayout<TFormat>.SmallBytes + lane * sizeof(uint);
        var scales = TFormat.Scales<Avx2Lanes, SignSums<Avx2Lanes, V>, V>(scale, default, small, planes);
        Avx2Lanes.Store(scales.Scale, operands->Scales + lane);
        if (TFormat.ScalesHalves)
        {
            Avx2Lanes.Store(scales.First, operands->FirstHalf + 2 * lane);
            Avx2Lanes.Store(scales.Second, operands->SecondHalf + 2 * lane);
        }
        var magnitudes = TFormat.Load<Avx2Lanes, SignSums<Avx2Lanes, V>, V>(small, planes, out var signs);
        magnitudes.Store<Avx2Lanes>(operands->Magnitudes + lane * sizeof(uint));
        signs.Store<Avx2Lanes>(operands->Signs + lane * sizeof(uint));
    }

    /// <summary>totals[rows, 16] += x[rows, 32] . block[16, 32]^T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddBlock(TileOperands* operands, ActivationBlock* x, int rows, float* totals)
    {
        var last = x + rows - 1;
        for (; x < last; x += 2, totals += 2 * RowGroup.Rows)
        {
            TSums.Of(operands, x, x + 1, out var x0, out var x1, out var y0, out var y1);
            Add(operands, x, x0, x1, totals);
            Add(operands, x + 1, y0, y1, totals + RowGroup.Rows);
        }
        if (x == last)
        {
            TSums.Of(operands, x, x, out var x0, out var x1, out _, out _);
            Add(operands, x, x0, x1, totals);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(TileOperands* operands, ActivationBlock* x, Vector256<int> sum0, Vector256<int> sum1, float* totals)
    {
        Add(operands->Scales, x, sum0, totals);
        Add(operands->Scales + Avx2Lanes.Count, x, sum1, totals + Avx2Lanes.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(float* scales, ActivationBlock* x, Vector256<int> sum, float* totals) =>
        Avx2Lanes.Store(Terms<Avx2Lanes, V>.AddScaled(Avx2Lanes.Load(totals), sum.AsByte(), Avx2Lanes.Load(scales), x), totals);
}
