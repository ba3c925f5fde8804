using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;
using V = System.Runtime.Intrinsics.Vector512<byte>;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product with quantised weights where the processor has AVX-512 VNNI. Many activation rows meet two groups of weights at a time in machine code
/// (<see cref="BlockDots"/>), for which the codes are unpacked into memory; for few that would take longer than it saves, and they go as without VNNI. Both
/// give the same bits. Types that have machine code of their own do not come here (<see cref="RowDotProduct{TFormat}"/>).
/// </summary>
sealed unsafe class DotProduct<TFormat> : IProduct where TFormat : IQuantFormat
{
    /// <summary>Rows from which machine code is faster: without it, codes of 8 and of 7 bits take twice the products.</summary>
    static int LeastRows => TFormat.Term is BlockTerm.Minus128 or BlockTerm.Minus64Halves ? 4 : 16;

    /// <summary>Each half of a block has a scale of its own, and codes stand for this much less.</summary>
    static int HalvesOffset
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TFormat.Term switch { BlockTerm.Minus32Halves => 32, BlockTerm.Minus64Halves => 64, _ => 0 };
    }

    readonly QuantProduct<TFormat, Avx512Lanes, PairSums<Avx512Lanes, V>, V> _few = new();

    public int BlocksPerScale => _few.BlocksPerScale;

    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var blocks = task.Columns / ActivationBlock.Columns;
        for (var firstRow = 0; firstRow < task.Batch; firstRow += ProductTask.TileRows)
        {
            var tile = task.Tile(firstRow);
            if (tile.Batch < LeastRows) _few.Run(tile, firstGroup, endGroup);
            else RunTile(tile, blocks / TFormat.BlocksPerHeader, firstGroup, endGroup);
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void RunTile(in ProductTask tile, int headers, int firstGroup, int endGroup)
    {
        var memory = stackalloc byte[2 * BlockDots.TotalsBytes + sizeof(BlockOperands) + 63];
        var operands = (BlockOperands*)(((nuint)memory + 63) & ~(nuint)63);
        var totals = (float*)(operands + 1);
        var second = totals + BlockDots.TotalsBytes / sizeof(float);
        for (var group = firstGroup; group < endGroup; group += 2)
        {
            // Of an odd number the last one is computed twice.
            var both = group + 1 < endGroup;
            new Span<float>(totals, tile.Batch * RowGroup.Rows).Clear();
            new Span<float>(second, tile.Batch * RowGroup.Rows).Clear();
            var weights = tile.Weights + group * tile.GroupBytes;
            AddGroups(weights, both ? weights + tile.GroupBytes : weights, headers, tile.Blocks, tile.Batch, operands, totals);
            tile.Store(totals, group, 0, tile.Batch);
            if (both) tile.Store(second, group + 1, 0, tile.Batch);
        }
    }

    /// <summary>totals[rows, 16] of both groups += x[rows, C] . w[16, C]^T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddGroups(byte* first, byte* second, int headers, ActivationBlock* x, int rows, BlockOperands* operands, float* totals)
    {
        for (var h = 0; h < headers; h++)
        {
            var (scale0, min0, scale1, min1) = (Scale(first), Min(first), Scale(second), Min(second));
            first += QuantLayout<TFormat>.HeaderBytes;
            second += QuantLayout<TFormat>.HeaderBytes;
            for (var b = 0; b < TFormat.BlocksPerHeader; b++)
            {
                Unpack(first, scale0, min0, operands, 0);
                Unpack(second, scale1, min1, operands, 1);
                BlockDots.Add(TFormat.Term, operands, x, totals, rows);
                first += QuantLayout<TFormat>.BlockBytes;
                second += QuantLayout<TFormat>.BlockBytes;
                x += rows;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Scale(byte* header) => TFormat.HasScale ? HalfLanes<Avx512Lanes, V>.Load(header) : default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Min(byte* header) => TFormat.HasMinima ? HalfLanes<Avx512Lanes, V>.Load(header + RowGroup.Rows * sizeof(ushort)) : default;

    /// <summary>Codes, scale and minimum of a block of a group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Unpack(byte* block, V scale, V min, BlockOperands* operands, int group)
    {
        WeightsAhead<TFormat, Avx512Lanes, V>.Fetch(block);
        var planes = block + QuantLayout<TFormat>.SmallBytes;
        var scales = TFormat.Scales<Avx512Lanes, PairSums<Avx512Lanes, V>, V>(scale, min, block, planes);
        Avx512Lanes.Store(scales.Scale, operands->Scales + group * RowGroup.Rows);
        if (TFormat.Term is BlockTerm.WithMin) Avx512Lanes.Store(scales.Min, operands->Minima + group * RowGroup.Rows);
        if (HalvesOffset > 0) StoreHalves(scales, operands, group * RowGroup.Rows);

        var codes = TFormat.Load<Avx512Lanes, WholeCodes<V>, V>(block, planes, out _);
        codes.Store<Avx512Lanes>(operands->Codes + group * BlockOperands.GroupBytes);
    }

    /// <summary>Scales of half a block as 32-bit numbers, and their products with the codes' offset as pairs of 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreHalves(in BlockScales<V> scales, BlockOperands* operands, int place)
    {
        var lower = Avx512Lanes.Spread(0xffffu);
        var (first, second) = (Avx512Lanes.And(scales.First, lower), Avx512Lanes.And(scales.Second, lower));
        Avx512Lanes.Store(Avx512Lanes.MultiplyAddShorts(first, Avx512Lanes.Spread(1u)), operands->FirstHalf + place);
        Avx512Lanes.Store(Avx512Lanes.MultiplyAddShorts(second, Avx512Lanes.Spread(1u)), operands->SecondHalf + place);
        var offset = Avx512Lanes.Spread((ushort)-HalvesOffset);
        var offsets = Avx512Lanes.Or(
            Avx512Lanes.And(Avx512Lanes.MultiplyAddShorts(first, offset), lower), Avx512Lanes.ShiftLeft(Avx512Lanes.MultiplyAddShorts(second, offset), 16));
        Avx512Lanes.Store(offsets, operands->HalfOffsets + place);
    }
}
