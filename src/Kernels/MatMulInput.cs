using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Kernels;

/// <summary>
/// Activation rows x[B, C] in the forms that matrix products read: floats, and blocks of 8-bit integers, made when the first quantised matrix
/// asks for them. Set once, used by several matrices. One user at a time.
/// </summary>
public sealed unsafe class MatMulInput : IDisposable
{
    /// <summary>Fewer elements are quantised by the caller alone: waking the others would take longer.</summary>
    const int ParallelElements = 16384;

    readonly NativeBuffer<float> _floats;
    readonly NativeBuffer<ActivationBlock> _blocks;
    bool _hasBlocks;

    /// <param name="maxRows">The greatest B.</param>
    /// <param name="maxColumns">The greatest C.</param>
    public MatMulInput(int maxRows, int maxColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxColumns, 1);
        (MaxRows, MaxColumns) = (maxRows, maxColumns);
        _floats = new NativeBuffer<float>((long)maxRows * maxColumns);
        _blocks = new NativeBuffer<ActivationBlock>((long)maxRows * (maxColumns / ActivationBlock.Columns));
    }

    public int MaxRows { get; }

    public int MaxColumns { get; }

    /// <summary>B of the rows that were set last.</summary>
    public int Rows { get; private set; }

    /// <summary>C of the rows that were set last.</summary>
    public int Columns { get; private set; }

    public long Bytes => _floats.Bytes + _blocks.Bytes;

    internal float* Floats => _floats.Pointer;

    /// <summary>Takes a copy of x[B, C].</summary>
    /// <exception cref="ArgumentException">The rows are none, more or longer than there is room for, or x has not this shape.</exception>
    public void Set(ComputeThreads threads, ReadOnlySpan<float> x, int rows, int columns)
    {
        ArgumentNullException.ThrowIfNull(threads);
        if (rows < 1 || rows > MaxRows) throw new ArgumentOutOfRangeException(nameof(rows), rows, $"1..{MaxRows} rows fit");
        if (columns < 1 || columns > MaxColumns) throw new ArgumentOutOfRangeException(nameof(columns), columns, $"1..{MaxColumns} columns fit");
        if (x.Length != (long)rows * columns) throw new ArgumentException($"x[{rows}, {columns}] does not have {x.Length} elements", nameof(x));
        (Rows, Columns) = (rows, columns);
        x.CopyTo(_floats.Span(0, x.Length));
        _hasBlocks = false;
    }

    /// <summary>The rows as blocks, in the order of <see cref="ProductTask.Blocks"/>.</summary>
    internal ActivationBlock* Blocks(ComputeThreads threads)
    {
        if (!_hasBlocks)
        {
            var job = new QuantizeJob { Floats = _floats.Pointer, Blocks = _blocks.Pointer, Rows = Rows, BlocksPerRow = Columns / ActivationBlock.Columns };
            if ((long)Rows * Columns < ParallelElements) job.Run(0, 1);
            else threads.Run(ref job);
            _hasBlocks = true;
        }

        return _blocks.Pointer;
    }

    public void Dispose()
    {
        _floats.Dispose();
        _blocks.Dispose();
    }

    /// <summary>Each thread takes a range of block columns, of all rows.</summary>
    struct QuantizeJob : IComputeJob
    {
        public float* Floats;
        public ActivationBlock* Blocks;
        public int Rows;
        public int BlocksPerRow;

        public readonly void Run(int thread, int threads)
        {
            var (first, end) = ComputeThreads.Share(BlocksPerRow, thread, threads);
            for (var tile = 0; tile < Rows; tile += ProductTask.TileRows)
            {
                var rows = Math.Min(ProductTask.TileRows, Rows - tile);
                var blocks = Blocks + (long)tile * BlocksPerRow;
                for (var row = 0; row < rows; row++)
                {
                    var x = Floats + (long)(tile + row) * BlocksPerRow * ActivationBlock.Columns;
                    for (var b = first; b < end; b++) ActivationQuantizer.Quantize(x + b * ActivationBlock.Columns, blocks + (long)b * rows + row);
                }
            }
        }
    }
}
