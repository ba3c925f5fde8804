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

/// <summary>Rows of an input that are projected with up to three matrices.</summary>
/// <param name="Job">Without the rows, and without room for parts.</param>
readonly record struct LowRankProjection(ProjectJob Job, ReadOnlyMemory<int> Rows, int FirstSlot, LowRankPair? First, LowRankPair? Second, LowRankPair? Third)
{
    public long Multiplications => (long)Rows.Length * Job.Columns * ((First?.Rank ?? 0) + (Second?.Rank ?? 0) + (Third?.Rank ?? 0));

    public LowRankPair? this[int index] => index switch
    {
        0 => First,
        1 => Second,
        _ => Third,
    };

    public void KeepAlive()
    {
        GC.KeepAlive(First);
        GC.KeepAlive(Second);
        GC.KeepAlive(Third);
    }
}

/// <summary>B times t, added to outputs, of rows with the same B; see <see cref="LowRankProduct"/>.</summary>
unsafe struct AddTarget
{
    /// <summary>Row groups whose outputs are computed together: a thread's room for them is small.</summary>
    const int BlockGroups = 8;

    /// <summary>Null: there is none.</summary>
    public IProduct? Product;
    public ILowRankProduct OfOneRow;

    /// <summary>B, from the first output on that is added to.</summary>
    public byte* Weights;
    public long GroupBytes;

    /// <summary>R.</summary>
    public int Rank;

    /// <summary>Numbers of a row of y.</summary>
    public int Count;

    /// <summary>t[rows, R]</summary>
    public float* Projected;

    /// <summary>y[B, <see cref="Count"/>]</summary>
    public float* Target;

    /// <summary>Adds to the outputs of the row groups <paramref name="first"/> .. <paramref name="end"/> of some rows.</summary>
    public readonly void Run(ReadOnlySpan<int> rows, int first, int end)
    {
        if (Product is null || first >= end) return;
        for (var tile = 0; tile < rows.Length; tile += LowRankProduct.TileRows)
        {
            var its = rows[tile..Math.Min(rows.Length, tile + LowRankProduct.TileRows)];
            var task = new ProductTask
            {
                Weights = Weights,
                GroupBytes = GroupBytes,
                Rows = Count,
                Columns = Rank,
                Batch = its.Length,
                Floats = Projected + ((long)tile * Rank),
            };
            if (its.Length > 1)
            {
                for (var group = first; group < end; group += BlockGroups) AddBlock(task, its, group, Math.Min(end, group + BlockGroups));
                continue;
            }
            task.Output = Target + ((long)its[0] * Count);
            OfOneRow.AddFewColumns(task, first, end);
        }
    }

    readonly void AddBlock(ProductTask task, ReadOnlySpan<int> rows, int first, int end)
    {
        var products = stackalloc float[LowRankProduct.TileRows * BlockGroups * RowGroup.Rows];
        var column = first * RowGroup.Rows;
        task.Weights += first * GroupBytes;
        task.Rows = Math.Min(Count, end * RowGroup.Rows) - column;
        task.Output = products;
        Product!.Run(task, 0, end - first);
        for (var i = 0; i < rows.Length; i++)
            RowMath.Chosen.Add(Target + ((long)rows[i] * Count) + column, products + ((long)i * task.Rows), task.Rows);
    }
}
