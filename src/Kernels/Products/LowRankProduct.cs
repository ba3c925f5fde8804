using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Adds low-rank products to some rows of outputs: y[row, N] += B[N, R] t[row, R] with t = scale * A[R, C] x[row, C]. Whatever is projected for an input is
/// added by the products of that input, which get this object (<see cref="MatMul"/>): a thread computes its share of t, then outputs of the product, to which
/// it adds B t while it has them. So the threads meet no more often than without.
/// <para>
/// The columns of A are cut every <see cref="ChunkColumns"/>, so that threads can share a matrix of few rows. A chunk's part of t is the sum of chains of fused
/// multiply-adds (<see cref="ILowRankProduct"/>), the chunks are added up in ascending order, and what is added to an output is one chain over R. So the bits
/// of a row depend neither on other rows, nor on threads, nor on the vectors' width. Holds room for intermediate numbers; allocates nothing once it has seen as
/// many projections. One user at a time.
/// </para>
/// </summary>
public sealed unsafe class LowRankProduct : IDisposable
{
    /// <summary>The most matrices of one input.</summary>
    public const int MostPairs = 3;

    /// <summary>Columns of A that a thread takes at a time: the weights of 16 rows in the first cache.</summary>
    public const int ChunkColumns = ILowRankProduct.Columns;

    /// <summary>Rows that go through a chunk, or through a thread's outputs, together.</summary>
    internal const int TileRows = 16;

    /// <summary>With fewer multiplications, waking the other threads takes longer than they save.</summary>
    const long ParallelMultiplications = 64 * 1024;

    readonly int _maxRows, _maxRank, _maxChunks;

    /// <summary>[tile, pairs, chunks, R] parts of t.</summary>
    readonly NativeBuffer<float> _parts;

    /// <summary>[pairs, B, R] t of every row. Those of a call stand one behind the other from its first slot on.</summary>
    readonly NativeBuffer<float> _projected;

    /// <summary>What has been projected for the present input, and what is projected beside the first product of it.</summary>
    readonly List<LowRankProjection> _projections = [];

    /// <summary>Those of them that are projected beside the first product: all of these have their parts in slots below <see cref="TileRows"/>.</summary>
    readonly List<LowRankProjection> _beside = new(TileRows);

    int _firstOutput;
    int _arrived;   // threads that have done their shares of what is projected beside the product
    volatile bool _isProjected;

    /// <param name="maxRows">The greatest B.</param>
    /// <param name="maxRank">The greatest R.</param>
    /// <param name="maxColumns">The greatest C.</param>
    public LowRankProduct(int maxRows, int maxRank, int maxColumns)
    {
        (_maxRows, _maxRank, _maxChunks) = (maxRows, maxRank, ChunksOf(maxColumns));
        _parts = new NativeBuffer<float>((long)TileRows * MostPairs * _maxChunks * maxRank);
        _projected = new NativeBuffer<float>((long)MostPairs * maxRows * maxRank);
    }

    public long Bytes => _parts.Bytes + _projected.Bytes;

    /// <summary>The bytes of such an object, without making it.</summary>
    public static long BytesOf(int maxRows, int maxRank, int maxColumns) =>
        sizeof(float) * (long)MostPairs * (((long)TileRows * ChunksOf(maxColumns) * maxRank) + ((long)maxRows * maxRank));

    /// <summary>Forgets what was projected: another input follows.</summary>
    /// <param name="firstOutput">The row of the products' matrices that the first row of B belongs to.</param>
    public void Begin(int firstOutput = 0)
    {
        _firstOutput = firstOutput;
        _projections.Clear();
        _beside.Clear();
    }

    /// <summary>
    /// t = scale * A x of some rows of x[B, C], for the products of x up to the next <see cref="Begin"/>. Null stands for a matrix that has no pair. Few rows
    /// are projected beside the first of them.
    /// </summary>
    /// <param name="rows">Rows of x, and of the products. They must not change before the last of them.</param>
    /// <param name="firstSlot">Where the first one's t is kept; the others' follow. There are as many slots as rows at most.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together, or are larger than there is room for.</exception>
    public void Project(
        ComputeThreads threads, MatMulInput x, ReadOnlyMemory<int> rows, int firstSlot, LowRankPair? w0, LowRankPair? w1 = null, LowRankPair? w2 = null)
    {
        CheckRows(rows.Span, firstSlot, x.Rows);
        var columns = x.OwnColumns;
        if (ChunksOf(columns) > _maxChunks) throw new ArgumentOutOfRangeException(nameof(x), columns, $"{_maxChunks * ChunkColumns} columns fit");
        var job = new ProjectJob
        {
            Input = x.OwnFloats,
            Width = x.Columns,
            Columns = columns,
            Chunks = ChunksOf(columns),
            Stride = _maxRank,
            RowParts = MostPairs * _maxChunks * _maxRank,
            First = PartOf(w0, columns),
            Second = PartOf(w1, columns),
            Third = PartOf(w2, columns),
        };
        var projection = new LowRankProjection(job, rows, firstSlot, w0, w1, w2);
        _projections.Add(projection);
        if (firstSlot + rows.Length <= TileRows)
        {
            _beside.Add(projection);
            return;
        }
        for (var tile = 0; tile < rows.Length; tile += TileRows)
        {
            var part = projection with { Rows = rows[tile..Math.Min(rows.Length, tile + TileRows)] };
            fixed (int* row = part.Rows.Span)
            {
                job.Rows = row;
                job.RowCount = part.Rows.Length;
                job.Parts = _parts.Pointer;
                if (part.Multiplications < ParallelMultiplications) job.Run(0, 1);
                else threads.Run(ref job);
                AddUp(part, job, tile);
            }
        }
        projection.KeepAlive();
    }

    /// <summary>
    /// y[row, D] += scale * B[D, R] a of some rows, where a is a row of A[V, R]: what a pair of an embedding adds. Forgets what was projected.
    /// </summary>
    /// <param name="ids">Of each of the rows, its row of A.</param>
    /// <param name="firstRow">The first of the rows of y, which follow each other.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together, or are larger than there is room for.</exception>
    public void AddRows(LowRankPair w, ReadOnlySpan<int> ids, Span<float> y, int firstRow)
    {
        Begin();
        if (w.A.Columns != w.B.Columns || w.Rank > _maxRank || w.B.Product is not ILowRankProduct)
            throw new ArgumentException(
                $"A[{w.A.Rows}, {w.A.Columns}] and B[{w.B.Rows}, {w.B.Columns}] of {w.B.Type} are no pair of floats of ranks to {_maxRank}", nameof(w));
        Span<int> rows = stackalloc int[TileRows];
        for (var tile = 0; tile < ids.Length; tile += TileRows)
        {
            var count = Math.Min(TileRows, ids.Length - tile);
            for (var i = 0; i < count; i++)
            {
                rows[i] = firstRow + tile + i;
                var t = new Span<float>(_projected.Pointer + ((long)i * w.Rank), w.Rank);
                w.A.DecodeRow(ids[tile + i], t);
                fixed (float* pointer = t) RowMath.Chosen.Scale(pointer, w.Scale, pointer, w.Rank);
            }
            CheckRows(rows[..count], 0, y.Length / w.B.Rows);
            fixed (float* output = y) TargetOf(w, 0, 0, 0, w.B.Rows, output).Run(rows[..count], 0, GroupsOf(w.B.Rows));
        }
        GC.KeepAlive(w);
    }

    /// <summary>A product of the input begins, on so many threads.</summary>
    /// <returns>This object, if something is to be added; else null.</returns>
    internal LowRankProduct? BeginProduct()
    {
        (_arrived, _isProjected) = (0, _beside.Count == 0);
        return _projections.Count == 0 ? null : this;
    }

    /// <summary>A thread's share of what is projected beside a product. The last thread that is done makes t of all shares.</summary>
    internal void RunBeside(int thread, int threads)
    {
        if (_isProjected) return;
        try
        {
            foreach (var projection in _beside)
                fixed (int* row = projection.Rows.Span)
                    JobOf(projection, row).Run(thread, threads);
        }
        finally
        {
            if (Interlocked.Increment(ref _arrived) == threads) CompleteBeside();   // also where one has failed: the others wait for it
        }
    }

    /// <summary>Waits until all threads have done their shares, which they begin with: hardly ever for long.</summary>
    internal void AwaitProjected()
    {
        var wait = default(SpinWait);
        while (!_isProjected) wait.SpinOnce(sleep1Threshold: -1);
    }

    /// <summary>Adds to outputs that a thread has just computed.</summary>
    /// <param name="index">Which of the matrices of the input.</param>
    /// <param name="firstOutput">The product's first output, a row of its matrix; a multiple of 16.</param>
    /// <param name="count">Outputs of the product.</param>
    /// <param name="firstGroup">Row groups of the product that are added to, up to <paramref name="endGroup"/>.</param>
    /// <param name="output">y[B, <paramref name="count"/>]</param>
    internal void Add(int index, int firstOutput, int count, int firstGroup, int endGroup, float* output)
    {
        (firstGroup, endGroup) = (Math.Max(firstGroup, 0), Math.Min(endGroup, GroupsOf(count)));
        if (firstGroup >= endGroup) return;
        foreach (var projection in _projections)
            if (projection[index] is { } w)
                TargetOf(w, index, projection.FirstSlot, firstOutput - _firstOutput, count, output).Run(projection.Rows.Span, firstGroup, endGroup);
    }

    /// <summary>The product has run.</summary>
    internal void EndProduct()
    {
        _beside.Clear();
        foreach (var projection in _projections) projection.KeepAlive();
    }

    /// <summary>What is to be added fits a product of the input.</summary>
    /// <exception cref="ArgumentException">A matrix has other outputs.</exception>
    internal void Check(int index, int firstOutput, int count, int rows)
    {
        foreach (var projection in _projections)
        {
            if (projection[index] is not { } w) continue;
            var first = firstOutput - _firstOutput;
            if (first % RowGroup.Rows != 0 || first < 0 || count < 1 || count > w.B.Rows - first)
                throw new ArgumentOutOfRangeException(nameof(count), count, $"{count} outputs from {first} are not within {w.B.Rows}");
            CheckRows(projection.Rows.Span, projection.FirstSlot, rows);
        }
    }

    public void Dispose()
    {
        _parts.Dispose();
        _projected.Dispose();
    }

    static int ChunksOf(int columns) => (columns + ChunkColumns - 1) / ChunkColumns;

    static int GroupsOf(int outputs) => (int)(((long)outputs + RowGroup.Rows - 1) / RowGroup.Rows);

    void CheckRows(ReadOnlySpan<int> rows, int firstSlot, int all)
    {
        if (firstSlot < 0 || firstSlot > _maxRows - rows.Length)
            throw new ArgumentOutOfRangeException(nameof(firstSlot), firstSlot, $"there are {_maxRows} slots");
        foreach (var row in rows)
            if ((uint)row >= (uint)all) throw new ArgumentOutOfRangeException(nameof(rows), row, $"there are {all} rows");
    }

    ProjectPart PartOf(LowRankPair? w, int columns)
    {
        if (w is null) return default;
        if (w.A.Columns != columns || w.A.Rows != w.Rank || w.Rank > _maxRank)
            throw new ArgumentException(
                $"A[{w.A.Rows}, {w.A.Columns}] and B[{w.B.Rows}, {w.B.Columns}] do not fit rows of {columns} and ranks to {_maxRank}", nameof(w));
        if (w.A.Product is not ILowRankProduct product || w.B.Product is not ILowRankProduct)
            throw new ArgumentException($"A is {w.A.Type} and B is {w.B.Type}; both must be floats", nameof(w));
        return new ProjectPart { Product = product, Weights = w.A.Pointer, GroupBytes = w.A.GroupBytes, ColumnBytes = w.A.GroupBytes / columns, Rank = w.Rank };
    }

    /// <param name="index">Which of the matrices that were projected together.</param>
    /// <param name="first">The row of B that the first output belongs to.</param>
    /// <param name="output">y[B, <paramref name="count"/>]</param>
    AddTarget TargetOf(LowRankPair w, int index, int firstSlot, int first, int count, float* output) => new()
    {
        Product = w.B.Product,
        OfOneRow = (ILowRankProduct)w.B.Product,
        Weights = w.B.Pointer + (first / RowGroup.Rows * w.B.GroupBytes),
        GroupBytes = w.B.GroupBytes,
        Rank = w.Rank,
        Count = count,
        Projected = ProjectedOf(index, firstSlot),
        Target = output,
    };

    float* ProjectedOf(int index, int firstSlot) => _projected.Pointer + ((((long)index * _maxRows) + firstSlot) * _maxRank);

    ProjectJob JobOf(in LowRankProjection projection, int* rows)
    {
        var job = projection.Job;
        job.Rows = rows;
        job.RowCount = projection.Rows.Length;
        job.Parts = _parts.Pointer + ((long)projection.FirstSlot * job.RowParts);
        return job;
    }

    void CompleteBeside()
    {
        foreach (var projection in _beside)
            fixed (int* row = projection.Rows.Span) AddUp(projection, JobOf(projection, row), before: 0);
        _isProjected = true;
    }

    /// <summary>t of rows, from their parts. Each row's t stands right behind the one before, as products take them.</summary>
    /// <param name="before">Rows of the projection before these.</param>
    void AddUp(in LowRankProjection projection, in ProjectJob job, int before)
    {
        for (var index = 0; index < MostPairs; index++) AddUp(projection[index], job, index, ProjectedOf(index, projection.FirstSlot), before);
    }

    static void AddUp(LowRankPair? w, in ProjectJob job, int index, float* projected, int before)
    {
        if (w is null) return;
        for (var i = 0; i < job.RowCount; i++)
        {
            var sum = job.PartsOf(i, index, 0);
            for (var chunk = 1; chunk < job.Chunks; chunk++) RowMath.Chosen.Add(sum, job.PartsOf(i, index, chunk), w.Rank);
            RowMath.Chosen.Scale(sum, w.Scale, projected + ((long)(before + i) * w.Rank), w.Rank);
        }
    }
}
