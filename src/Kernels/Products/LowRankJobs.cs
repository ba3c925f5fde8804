using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>The product of float weights of few rows with one activation row.</summary>
interface IFewRowsProduct
{
    /// <summary>The most columns of a call.</summary>
    const int Columns = Pieces * PieceColumns;

    /// <summary>Columns of a chain.</summary>
    const int PieceColumns = 128;

    const int Pieces = 4;

    /// <summary>All rows of the task, of one activation row.</summary>
    void RunFewRows(in ProductTask task);
}

/// <summary>A of one of the matrices that share an input.</summary>
unsafe struct ProjectPart
{
    /// <summary>Null: there is none.</summary>
    public IFewRowsProduct? Product;
    public byte* Weights;
    public long GroupBytes;
    public long ColumnBytes;

    /// <summary>R.</summary>
    public int Rank;
}

/// <summary>Chunks of A times chunks of a tile's rows; see <see cref="LowRankProduct"/>. The threads share the chunks.</summary>
unsafe struct ProjectJob : IComputeJob
{
    /// <summary>x[B, C]</summary>
    public float* Input;

    /// <summary>C.</summary>
    public int Columns;
    public int Chunks;

    /// <summary>[tile, pairs, chunks, <see cref="Stride"/>]</summary>
    public float* Parts;
    public int Stride;
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

    public readonly float* PartsOf(int row, int pair, int chunk) => Parts + (((((long)row * LowRankProduct.MostPairs) + pair) * Chunks + chunk) * Stride);

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
            task.Floats = Input + ((long)Rows[i] * Columns) + column;
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
        target.Product.Run(task, first, end);
        var column = first * RowGroup.Rows;
        var columns = Math.Min(target.Count, end * RowGroup.Rows) - column;
        for (var i = 0; i < RowCount; i++)
            RowMath.Chosen.Add(target.Target + ((long)Rows[i] * target.Width) + column, target.Products + ((long)i * target.Count) + column, columns);
    }
}
