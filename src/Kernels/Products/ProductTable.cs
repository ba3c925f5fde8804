using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The matrix product for one tensor type and one instruction set.</summary>
interface IProduct
{
    /// <summary>
    /// How activations come: as <see cref="ProductTask.Blocks"/>, of which this many consecutive ones share a scale, or, if 0, as
    /// <see cref="ProductTask.Floats"/>.
    /// </summary>
    int BlocksPerScale { get; }

    /// <summary>Computes the outputs of the row groups <paramref name="firstGroup"/> .. <paramref name="endGroup"/> - 1.</summary>
    void Run(in ProductTask task, int firstGroup, int endGroup);
}

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

    /// <summary>The product of as many rows from <paramref name="firstRow"/> on as a tile has, of quantised weights.</summary>
    public readonly ProductTask Tile(int firstRow) => this with
    {
        Batch = Math.Min(TileRows, Batch - firstRow),
        Blocks = Blocks + (long)firstRow * (Columns / ActivationBlock.Columns),
        Output = Output + (long)firstRow * Rows,
    };

    /// <summary>Copies totals[rows, 16] of one group to their places in y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(float* totals, int group, int firstRow, int rows)
    {
        var column = group * RowGroup.Rows;
        var count = Math.Min(RowGroup.Rows, Rows - column);
        var output = Output + (long)firstRow * Rows + column;
        for (var end = totals + rows * RowGroup.Rows; totals < end; totals += RowGroup.Rows, output += Rows)
        {
            if (count == RowGroup.Rows) Unsafe.CopyBlockUnaligned(output, totals, RowGroup.Rows * sizeof(float));
            else new Span<float>(totals, count).CopyTo(new Span<float>(output, count));
        }
    }
}

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
        TensorType.Q4_0 => Quant<Q4_0Format>(type, width),
        TensorType.Q4_1 => Quant<Q4_1Format>(type, width),
        TensorType.Q5_0 => Quant<Q5_0Format>(type, width),
        TensorType.Q5_1 => Quant<Q5_1Format>(type, width),
        TensorType.Q8_0 => Quant<Q8_0Format>(type, width),
        TensorType.Q2_K => Quant<Q2KFormat>(type, width),
        TensorType.Q3_K => Quant<Q3KFormat>(type, width),
        TensorType.Q4_K => Quant<Q4KFormat>(type, width),
        TensorType.Q5_K => Quant<Q5KFormat>(type, width),
        TensorType.Q6_K => Quant<Q6KFormat>(type, width),
        TensorType.IQ4_NL => Quant<IQ4NLFormat>(type, width),
        TensorType.IQ4_XS => Quant<IQ4XSFormat>(type, width),
        TensorType.IQ3_S => Grid<IQ3SFormat>(type, width),
        TensorType.IQ3_XXS => Grid<IQ3XXSFormat>(type, width),
        TensorType.IQ2_S => Grid<IQ2SFormat>(type, width),
        TensorType.IQ2_XS => Grid<IQ2XSFormat>(type, width),
        TensorType.IQ2_XXS => Grid<IQ2XXSFormat>(type, width),
        TensorType.IQ1_S => Grid<IQ1SFormat>(type, width),
        TensorType.IQ1_M => Grid<IQ1MFormat>(type, width),
        TensorType.TQ1_0 => Quant<TQ1_0Format>(type, width),
        TensorType.TQ2_0 => Quant<TQ2_0Format>(type, width),
        TensorType.MXFP4 => Quant<MXFP4Format>(type, width),
        TensorType.NVFP4 => Quant<NVFP4Format>(type, width),
        TensorType.Q1_0 => Quant<Q1_0Format>(type, width),
        TensorType.Q2_0 => Quant<Q2_0Format>(type, width),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };

    /// <summary>Scaled sums of 16 columns cost VNNI a 32-bit product each; there pairs are faster even with VNNI at hand.</summary>
    static IProduct Quant<TFormat>(TensorType type, KernelWidth width) where TFormat : IQuantFormat => width switch
    {
        KernelWidth.Avx512Vnni when RowDots.IsSupported(type) => new RowDotProduct<TFormat>(type),
        KernelWidth.Avx512Vnni when TFormat.Term != BlockTerm.Other => new DotProduct<TFormat>(),
        KernelWidth.Avx512Vnni or KernelWidth.Avx512 => new QuantProduct<TFormat, Avx512Lanes, PairSums<Avx512Lanes, Vector512<byte>>, Vector512<byte>>(),
        KernelWidth.AvxVnni when !TFormat.ScalesHalves =>
            new QuantProduct<TFormat, Avx2Lanes, DotSums<Avx2Lanes, Vector256<byte>>, Vector256<byte>>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 when TFormat.Term is BlockTerm.Minus64Halves => new TiledProduct<TFormat, SevenBitSums>(),
        KernelWidth.Avx2 when type is TensorType.IQ4_NL or TensorType.IQ4_XS => new TiledProduct<TFormat, EightBitSums>(new RowProduct<TFormat, Iq4RowSums>()),
        KernelWidth.Avx2 when TFormat.Term is BlockTerm.Minus128 => new TiledProduct<TFormat, EightBitSums>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new QuantProduct<TFormat, Avx2Lanes, SignSums<Avx2Lanes, Vector256<byte>>, Vector256<byte>>(),
        KernelWidth.Vector128 => new QuantProduct<TFormat, Vector128Lanes, DotSums<Vector128Lanes, Vector128<byte>>, Vector128<byte>>(),
        _ => new QuantProduct<TFormat, ScalarLanes, DotSums<ScalarLanes, uint>, uint>(),
    };

    /// <summary>Tables are made before the product is compiled, so that their addresses are constants to it.</summary>
    static IProduct Grid<TFormat>(TensorType type, KernelWidth width) where TFormat : IQuantFormat
    {
        RuntimeHelpers.RunClassConstructor(typeof(GridTables).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(GridLanes512).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(GridLanes256).TypeHandle);
        return Quant<TFormat>(type, width);
    }

    static IProduct Float<TFormat>(KernelWidth width) where TFormat : IFloatFormat => width switch
    {
        KernelWidth.Avx512Vnni or KernelWidth.Avx512 => new FloatProduct<TFormat, Avx512Lanes, Vector512<byte>>(),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => new FloatProduct<TFormat, Avx2Lanes, Vector256<byte>>(),
        KernelWidth.Vector128 => new FloatProduct<TFormat, Vector128Lanes, Vector128<byte>>(),
        _ => new FloatProduct<TFormat, ScalarLanes, uint>(),
    };
}
