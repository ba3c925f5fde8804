using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Activation rows x[B, C] in the forms that matrix products read: floats, and blocks of 8-bit integers with a scale per 32 or per 256 columns, each made
/// when the first matrix asks for it. Set once, used by several matrices. One user at a time.
/// </summary>
public sealed unsafe class MatMulInput : IDisposable
{
    /// <summary>Fewer elements are quantised by the caller alone: waking the others would take longer.</summary>
    const int ParallelElements = 16384;

    /// <summary>Blocks that share a scale beside weights of the K types.</summary>
    const int CoarseBlocks = 8;

    readonly NativeBuffer<float> _floats;
    readonly BlockForm _fine;
    readonly BlockForm _coarse;
    NativeBuffer<float>? _edges;
    bool _hasEdges;

    /// <summary>The columns that x itself had, without the zeros around them.</summary>
    int _firstOwn, _endOwn;

    /// <param name="maxRows">The greatest B.</param>
    /// <param name="maxColumns">The greatest C.</param>
    public MatMulInput(int maxRows, int maxColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxColumns, 1);
        (MaxRows, MaxColumns) = (maxRows, maxColumns);
        _floats = new NativeBuffer<float>((long)maxRows * maxColumns);
        var blocks = (long)maxRows * (maxColumns / ActivationBlock.Columns);
        _fine = new BlockForm(blocks, blocksPerScale: 1);
        _coarse = new BlockForm(blocks, CoarseBlocks);
    }

    public int MaxRows { get; }

    public int MaxColumns { get; }

    /// <summary>B of the rows that were set last.</summary>
    public int Rows { get; private set; }

    /// <summary>C of the rows that were set last.</summary>
    public int Columns { get; private set; }

    public long Bytes => _floats.Bytes + _fine.Bytes + _coarse.Bytes;

    internal float* Floats => _floats.Pointer;

    /// <summary>Columns that x itself had, without the zeros around them.</summary>
    internal int OwnColumns => _endOwn - _firstOwn;

    /// <summary>The first of these of row 0; rows have <see cref="Columns"/> numbers.</summary>
    internal float* OwnFloats => _floats.Pointer + _firstOwn;

    /// <summary>Takes a copy of x[B, C].</summary>
    /// <exception cref="ArgumentException">The rows are none, more or longer than there is room for, or x has not this shape.</exception>
    public void Set(ComputeThreads threads, ReadOnlySpan<float> x, int rows, int columns)
    {
        CheckShape(threads, rows, columns);
        if (x.Length != (long)rows * columns) throw new ArgumentException($"x[{rows}, {columns}] does not have {x.Length} elements", nameof(x));
        (Rows, Columns, _firstOwn, _endOwn) = (rows, columns, 0, columns);
        x.CopyTo(_floats.Span(0, x.Length));
        _fine.IsSet = _coarse.IsSet = _hasEdges = false;
    }

    /// <summary>Takes a copy of x[B, C'], with zeros before and behind each row to make it [B, C].</summary>
    /// <param name="columns">C</param>
    /// <param name="before">Zeros before each row.</param>
    /// <param name="ownColumns">C'</param>
    /// <exception cref="ArgumentException">The rows are none, more or longer than there is room for, or x has not this shape.</exception>
    public void Set(ComputeThreads threads, ReadOnlySpan<float> x, int rows, int columns, int before, int ownColumns)
    {
        if (before == 0 && ownColumns == columns)
        {
            Set(threads, x, rows, columns);
            return;
        }
        CheckShape(threads, rows, columns);
        if (before < 0 || ownColumns < 1 || ownColumns > columns - before)
            throw new ArgumentOutOfRangeException(nameof(ownColumns), ownColumns, $"{ownColumns} columns from {before} are not within {columns}");
        if (x.Length != (long)rows * ownColumns) throw new ArgumentException($"x[{rows}, {ownColumns}] does not have {x.Length} elements", nameof(x));
        for (var row = 0; row < rows; row++)
        {
            var padded = _floats.Span((long)row * columns, columns);
            padded[..before].Clear();
            x.Slice(row * ownColumns, ownColumns).CopyTo(padded[before..]);
            padded[(before + ownColumns)..].Clear();
        }
        (Rows, Columns, _firstOwn, _endOwn) = (rows, columns, before, before + ownColumns);
        _fine.IsSet = _coarse.IsSet = _hasEdges = false;
    }

    /// <summary>
    /// Scales the columns that share a scale with the first and with the last column of x as if they held numbers of these magnitudes as well: for rows that go
    /// on in other inputs, in the middle of such columns. To be called after <see cref="Set(ComputeThreads, ReadOnlySpan{float}, int, int, int, int)"/>, before
    /// products.
    /// </summary>
    /// <param name="first">[B]</param>
    /// <param name="last">[B]</param>
    public void ScaleEdges(ReadOnlySpan<float> first, ReadOnlySpan<float> last)
    {
        if (first.Length != Rows || last.Length != Rows)
            throw new ArgumentException($"{first.Length} and {last.Length} magnitudes for {Rows} rows", nameof(first));
        _edges ??= new NativeBuffer<float>(2L * MaxRows);
        first.CopyTo(_edges.Span(0, Rows));
        last.CopyTo(_edges.Span(MaxRows, Rows));
        _hasEdges = true;
        _fine.IsSet = _coarse.IsSet = false;
    }

    /// <summary>The rows as blocks, in the order of <see cref="ProductTask.Blocks"/>; consecutive ones share a scale.</summary>
    internal ActivationBlock* Blocks(ComputeThreads threads, int blocksPerScale)
    {
        var form = blocksPerScale == 1 ? _fine : _coarse;
        if (form.IsSet) return form.Pointer;
        var job = new QuantizeJob
        {
            Floats = _floats.Pointer,
            Blocks = form.Pointer,
            Rows = Rows,
            BlocksPerRow = Columns / ActivationBlock.Columns,
            BlocksPerScale = form.BlocksPerScale,
            First = _hasEdges ? _edges!.Pointer : null,
            Last = _hasEdges ? _edges!.Pointer + MaxRows : null,
            FirstOwn = _firstOwn / ActivationBlock.Columns / form.BlocksPerScale,
            LastOwn = (_endOwn - 1) / ActivationBlock.Columns / form.BlocksPerScale,
        };
        if ((long)Rows * Columns < ParallelElements) job.Run(0, 1);
        else threads.Run(ref job);
        form.IsSet = true;
        return form.Pointer;
    }

    public void Dispose()
    {
        _floats.Dispose();
        _fine.Dispose();
        _coarse.Dispose();
        _edges?.Dispose();
    }

    void CheckShape(ComputeThreads threads, int rows, int columns)
    {
        ArgumentNullException.ThrowIfNull(threads);
        if (rows < 1 || rows > MaxRows) throw new ArgumentOutOfRangeException(nameof(rows), rows, $"1..{MaxRows} rows fit");
        if (columns < 1 || columns > MaxColumns) throw new ArgumentOutOfRangeException(nameof(columns), columns, $"1..{MaxColumns} columns fit");
    }

    /// <summary>Room for the rows as blocks; allocated when a matrix first asks for this form, for few models have weights of both kinds.</summary>
    sealed class BlockForm(long blocks, int blocksPerScale) : IDisposable
    {
        NativeBuffer<ActivationBlock>? _blocks;

        public int BlocksPerScale => blocksPerScale;

        /// <summary>Holds the rows that were set last.</summary>
        public bool IsSet { get; set; }

        public long Bytes => _blocks?.Bytes ?? 0;

        public ActivationBlock* Pointer => (_blocks ??= new NativeBuffer<ActivationBlock>(blocks)).Pointer;

        public void Dispose() => _blocks?.Dispose();
    }

    /// <summary>Each thread takes a range of block columns that do not share a scale with others, of all rows.</summary>
    struct QuantizeJob : IComputeJob
    {
        /// <summary>Of a row.</summary>
        const int BlocksAtOnce = 4;

        public float* Floats;
        public ActivationBlock* Blocks;
        public int Rows;
        public int BlocksPerRow;
        public int BlocksPerScale;

        /// <summary>Magnitudes that the first and the last scale of each row must be good for; null: none.</summary>
        public float* First;
        public float* Last;

        /// <summary>Which scales those are, counted along a row.</summary>
        public int FirstOwn, LastOwn;

        public readonly void Run(int thread, int threads)
        {
            var (first, end) = ComputeThreads.Share(BlocksPerRow / BlocksPerScale, thread, threads);
            for (var tile = 0; tile < Rows; tile += ProductTask.TileRows)
            {
                var rows = Math.Min(ProductTask.TileRows, Rows - tile);
                var blocks = Blocks + (long)tile * BlocksPerRow;
                // Rows within columns: the blocks of a row lie where they would drive each other out of the first cache, all but a few. That many are
                // taken at once, since what lies next to each other is fetched ahead.
                var some = Math.Max(BlocksPerScale, BlocksAtOnce);
                for (var b = first * BlocksPerScale; b < end * BlocksPerScale; b += some)
                {
                    for (var row = 0; row < rows; row++)
                    {
                        var x = Floats + (((long)(tile + row) * BlocksPerRow) + b) * ActivationBlock.Columns;
                        for (var c = b; c < Math.Min(b + some, end * BlocksPerScale); c += BlocksPerScale, x += BlocksPerScale * ActivationBlock.Columns)
                            ActivationQuantizer.Quantize(x, blocks + (long)c * rows + row, BlocksPerScale, rows, Least(tile + row, c));
                    }
                }
            }
        }

        readonly float Least(int row, int block)
        {
            if (First is null) return 0;
            var scale = block / BlocksPerScale;
            var first = scale == FirstOwn ? First[row] : 0;
            return scale == LastOwn ? MathF.Max(first, Last[row]) : first;
        }
    }
}
