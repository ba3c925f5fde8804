using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The products of float weights with one activation row that low rank asks for.</summary>
interface ILowRankProduct
{
    /// <summary>The most columns of a call for few rows.</summary>
    const int Columns = Pieces * PieceColumns;

    /// <summary>Columns of a chain.</summary>
    const int PieceColumns = 128;

    const int Pieces = 4;

    /// <summary>All rows of the task.</summary>
    void RunFewRows(in ProductTask task);

    /// <summary>Adds the outputs of row groups to what is there; the task has few columns.</summary>
    void AddFewColumns(in ProductTask task, int firstGroup, int endGroup);
}

/// <summary>A of one of the matrices that share an input.</summary>
unsafe struct ProjectPart
{
    /// <summary>Null: there is none.</summary>
    public ILowRankProduct? Product;
    public byte* Weights;
    public long GroupBytes;
    public long ColumnBytes;

    /// <summary>R.</summary>
    public int Rank;
}

/// <summary>Chunks of A times chunks of rows; see <see cref="LowRankProduct"/>. The threads share the chunks.</summary>
unsafe struct ProjectJob : IComputeJob
{
    /// <summary>x[B, C], rows of <see cref="Width"/> numbers.</summary>
    public float* Input;
    public int Width;

    /// <summary>C.</summary>
    public int Columns;
    public int Chunks;

    /// <summary>[tile, pairs, chunks, <see cref="Stride"/>] of the tile's rows</summary>
    public float* Parts;
    public int Stride;

    /// <summary>Numbers of a row's parts.</summary>
    public int RowParts;
    public int* Rows;
    public int RowCount;
    public ProjectPart First, Second, Third;

    public readonly void Run(int thread, int threads)
    {
        var (first, end) = ComputeThreads.Share(Chunks, thread, threads);
        for (var chunk = first; chunk < end; chunk++)
        {
            Run(First, 0, chunk);
            Run(Second, 1, chunk);
            Run(Third, 2, chunk);
        }
    }

    public readonly float* PartsOf(int row, int pair, int chunk) => Parts + ((long)row * RowParts) + ((((long)pair * Chunks) + chunk) * Stride);

    readonly void Run(in ProjectPart part, int index, int chunk)
    {
        if (part.Product is null) return;
        var column = chunk * LowRankProduct.ChunkColumns;
        var task = new ProductTask
        {
            Weights = part.Weights + (column * part.ColumnBytes),
            GroupBytes = part.GroupBytes,
            Rows = part.Rank,
            Columns = Math.Min(LowRankProduct.ChunkColumns, Columns - column),
            Batch = 1,
        };
        for (var i = 0; i < RowCount; i++)
        {
            task.Floats = Input + ((long)Rows[i] * Width) + column;
            task.Output = PartsOf(i, index, chunk);
            part.Product.RunFewRows(task);
        }
    }
}

/// <summary>Rows of B, and the outputs that they are added to.</summary>
unsafe struct AddTarget
{
    /// <summary>Null: there is none.</summary>
    public IProduct? Product;
    public ILowRankProduct OfOneRow;
    public byte* Weights;
    public long GroupBytes;

    /// <summary>R.</summary>
    public int Rank;

    /// <summary>Outputs that are added to.</summary>
    public int Count;

    /// <summary>t[rows, R]</summary>
    public float* Projected;

    /// <summary>[tile, <see cref="Count"/>] room.</summary>
    public float* Products;

    /// <summary>Row 0 of y, at the first output that is added to.</summary>
    public float* Target;

    /// <summary>Numbers of a row of y.</summary>
    public int Width;
}

/// <summary>B times t, added to y, of a tile's rows; see <see cref="LowRankProduct"/>. Each thread takes its share of each target's outputs.</summary>
unsafe struct AddJob : IComputeJob
{
    public int* Rows;
    public int RowCount;

    /// <summary>Rows of t before the tile's.</summary>
    public int Before;
    public AddTarget First, Second, Third;

    public readonly void Run(int thread, int threads)
    {
        Run(First, thread, threads);
        Run(Second, thread, threads);
        Run(Third, thread, threads);
    }

    readonly void Run(in AddTarget target, int thread, int threads)
    {
        if (target.Product is null) return;
        var (first, end) = ComputeThreads.Share((target.Count + RowGroup.Rows - 1) / RowGroup.Rows, thread, threads);
        if (first == end) return;
        var task = new ProductTask
        {
            Weights = target.Weights,
            GroupBytes = target.GroupBytes,
            Rows = target.Count,
            Columns = target.Rank,
            Batch = RowCount,
            Floats = target.Projected + ((long)Before * target.Rank),
            Output = target.Products,
        };
        if (RowCount == 1)
        {
            task.Output = target.Target + ((long)Rows[0] * target.Width);
            target.OfOneRow.AddFewColumns(task, first, end);
            return;
        }
        target.Product.Run(task, first, end);
        var column = first * RowGroup.Rows;
        var columns = Math.Min(target.Count, end * RowGroup.Rows) - column;
        for (var i = 0; i < RowCount; i++)
            RowMath.Chosen.Add(target.Target + ((long)Rows[i] * target.Width) + column, target.Products + ((long)i * target.Count) + column, columns);
    }
}
