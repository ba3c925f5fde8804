using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Adds low-rank products to some rows of outputs: y[row, N] += B[N, R] t[row, R] with t = scale * A[R, C] x[row, C]. Up to three matrices of one
/// input share the threads' meetings.
/// <para>
/// The columns of A are cut every <see cref="ChunkColumns"/>, so that threads can share a matrix of few rows. A chunk's part of t is the sum of
/// chains of fused multiply-adds (<see cref="ILowRankProduct"/>), the chunks are added up in ascending order, and what is added to an output is one chain over R. So the bits of a
/// row depend neither on other rows, nor on threads, nor on the vectors' width. Holds room for intermediate numbers; allocates nothing later. One user
/// at a time.
/// </para>
/// </summary>
public sealed unsafe class LowRankProduct : IDisposable
{
    /// <summary>The most matrices of one input.</summary>
    public const int MostPairs = 3;

    /// <summary>Columns of A that a thread takes at a time: the weights of 16 rows in the first cache.</summary>
    public const int ChunkColumns = ILowRankProduct.Columns;

    /// <summary>Rows that go through a chunk, or through a thread's outputs, together.</summary>
    const int TileRows = 16;

    /// <summary>With fewer multiplications, waking the other threads takes longer than they save.</summary>
    const long ParallelMultiplications = 64 * 1024;

    readonly int _maxRows, _maxRank, _maxChunks, _maxOutputs;

    /// <summary>[tile, pairs, chunks, R] parts of t.</summary>
    readonly NativeBuffer<float> _parts;

    /// <summary>What is projected beside the next product: all of these have their parts in slots below <see cref="TileRows"/>.</summary>
    readonly List<Projection> _beside = new(TileRows);

    /// <summary>[pairs, B, R] t of every row. Those of a call stand one behind the other from its first slot on.</summary>
    readonly NativeBuffer<float> _projected;

    /// <summary>[pairs, tile, N] what is added to outputs.</summary>
    readonly NativeBuffer<float> _products;

    /// <param name="maxRows">The greatest B.</param>
    /// <param name="maxRank">The greatest R.</param>
    /// <param name="maxColumns">The greatest C.</param>
    /// <param name="maxOutputs">The greatest N.</param>
    public LowRankProduct(int maxRows, int maxRank, int maxColumns, int maxOutputs)
    {
        (_maxRows, _maxRank, _maxChunks, _maxOutputs) = (maxRows, maxRank, ChunksOf(maxColumns), maxOutputs);
        _parts = new NativeBuffer<float>((long)TileRows * MostPairs * _maxChunks * maxRank);
        _projected = new NativeBuffer<float>((long)MostPairs * maxRows * maxRank);
        _products = new NativeBuffer<float>((long)MostPairs * TileRows * maxOutputs);
    }

    public long Bytes => _parts.Bytes + _projected.Bytes + _products.Bytes;

    /// <summary>The most outputs of one call.</summary>
    public int MaxOutputs => _maxOutputs;

    /// <summary>The bytes of such an object, without making it.</summary>
    public static long BytesOf(int maxRows, int maxRank, int maxColumns, int maxOutputs) => sizeof(float) * (long)MostPairs
        * (((long)TileRows * ChunksOf(maxColumns) * maxRank) + ((long)maxRows * maxRank) + ((long)TileRows * maxOutputs));

    /// <summary>
    /// t = scale * A x of some rows of x[B, C], kept for <see cref="Add"/>. Null stands for a matrix that has no pair. Few rows are projected beside the next
    /// product of x, which must get this object (<see cref="MatMul"/>): the threads meet once for both.
    /// </summary>
    /// <param name="rows">Rows of x. They must not change before that product.</param>
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
        var projection = new Projection(job, rows, firstSlot, w0, w1, w2);
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
                Run(threads, ref job, part.Multiplications);
                AddUp(part, job, tile);
            }
        }
        projection.KeepAlive();
    }

    /// <summary>Something is to be projected beside the next product.</summary>
    internal bool HasWork => _beside.Count > 0;

    /// <summary>A thread's share of what is projected beside a product.</summary>
    internal void RunBeside(int thread, int threads)
    {
        foreach (var projection in _beside)
            fixed (int* row = projection.Rows.Span)
                JobOf(projection, row).Run(thread, threads);
    }

    /// <summary>All threads have done their shares.</summary>
    internal void CompleteBeside()
    {
        foreach (var projection in _beside)
        {
            fixed (int* row = projection.Rows.Span) AddUp(projection, JobOf(projection, row), before: 0);
            projection.KeepAlive();
        }
        _beside.Clear();
    }

    /// <summary>y0[row, N0] += B0 t0, and so on, of the rows that were projected to the slots from <paramref name="firstSlot"/> on.</summary>
    /// <param name="rows">Rows of y, as many as were projected.</param>
    /// <param name="y0">[B, N0]</param>
    /// <exception cref="ArgumentException">The shapes do not belong together, or are larger than there is room for.</exception>
    public void Add(
        ComputeThreads threads, ReadOnlySpan<int> rows, int firstSlot, LowRankPair? w0, Span<float> y0, LowRankPair? w1 = null, Span<float> y1 = default,
        LowRankPair? w2 = null, Span<float> y2 = default)
    {
        if (HasWork) throw new InvalidOperationException("what is to be added is not projected yet");
        fixed (float* output0 = y0, output1 = y1, output2 = y2)
        {
            var job = new AddJob
            {
                First = TargetOf(w0, 0, firstSlot, 0, OutputsOf(w0), output0, y0.Length, OutputsOf(w0), rows),
                Second = TargetOf(w1, 1, firstSlot, 0, OutputsOf(w1), output1, y1.Length, OutputsOf(w1), rows),
                Third = TargetOf(w2, 2, firstSlot, 0, OutputsOf(w2), output2, y2.Length, OutputsOf(w2), rows),
            };
            Run(threads, ref job, rows, (RankOf(w0) * (long)OutputsOf(w0)) + (RankOf(w1) * (long)OutputsOf(w1)) + (RankOf(w2) * (long)OutputsOf(w2)));
        }
        KeepAlive(w0, w1, w2);
    }

    /// <summary>Some outputs of what was projected as the first matrix: y[row, i] += B[first + i, R] t for i of 0 .. count.</summary>
    /// <param name="first">A multiple of 16.</param>
    /// <param name="y">[B, width], from the first output on that is added to.</param>
    /// <param name="width">Numbers of a row of y.</param>
    /// <inheritdoc cref="Add"/>
    public void AddPart(ComputeThreads threads, ReadOnlySpan<int> rows, int firstSlot, LowRankPair w, int first, int count, Span<float> y, int width)
    {
        if (HasWork) throw new InvalidOperationException("what is to be added is not projected yet");
        if (first % RowGroup.Rows != 0) throw new ArgumentOutOfRangeException(nameof(first), first, $"no group of {RowGroup.Rows} rows starts there");
        fixed (float* output = y)
        {
            var job = new AddJob { First = TargetOf(w, 0, firstSlot, first, count, output, y.Length, width, rows) };
            Run(threads, ref job, rows, (long)w.Rank * count);
        }
        KeepAlive(w, null, null);
    }

    public void Dispose()
    {
        _parts.Dispose();
        _projected.Dispose();
        _products.Dispose();
    }

    static int ChunksOf(int columns) => (columns + ChunkColumns - 1) / ChunkColumns;

    static int RankOf(LowRankPair? w) => w?.Rank ?? 0;

    static int OutputsOf(LowRankPair? w) => w?.B.Rows ?? 0;

    static void KeepAlive(LowRankPair? w0, LowRankPair? w1, LowRankPair? w2)
    {
        GC.KeepAlive(w0);
        GC.KeepAlive(w1);
        GC.KeepAlive(w2);
    }

    static void Run<TJob>(ComputeThreads threads, ref TJob job, long multiplications) where TJob : struct, IComputeJob
    {
        if (multiplications < ParallelMultiplications) job.Run(0, 1);
        else threads.Run(ref job);
    }

    static void Run(ComputeThreads threads, ref AddJob job, ReadOnlySpan<int> rows, long multiplicationsOfRow)
    {
        fixed (int* row = rows)
            for (var tile = 0; tile < rows.Length; tile += TileRows)
            {
                job.Rows = row + tile;
                (job.RowCount, job.Before) = (Math.Min(TileRows, rows.Length - tile), tile);
                Run(threads, ref job, job.RowCount * multiplicationsOfRow);
            }
    }

    void CheckRows(ReadOnlySpan<int> rows, int firstSlot, int all)
    {
        if (firstSlot < 0 || firstSlot > _maxRows - rows.Length) throw new ArgumentOutOfRangeException(nameof(firstSlot), firstSlot, $"there are {_maxRows} slots");
        foreach (var row in rows)
            if ((uint)row >= (uint)all) throw new ArgumentOutOfRangeException(nameof(rows), row, $"there are {all} rows");
    }

    ProjectPart PartOf(LowRankPair? w, int columns)
    {
        if (w is null) return default;
        if (w.A.Columns != columns || w.Rank > _maxRank || w.B.Columns != w.Rank)
            throw new ArgumentException($"A[{w.A.Rows}, {w.A.Columns}] and B[{w.B.Rows}, {w.B.Columns}] do not fit rows of {columns} and ranks to {_maxRank}", nameof(w));
        if (w.A.Product is not ILowRankProduct product || w.B.Product is not ILowRankProduct)
            throw new ArgumentException($"A is {w.A.Type} and B is {w.B.Type}; both must be floats", nameof(w));
        return new ProjectPart { Product = product, Weights = w.A.Pointer, GroupBytes = w.A.GroupBytes, ColumnBytes = w.A.GroupBytes / columns, Rank = w.Rank };
    }

    /// <param name="index">Which of the matrices that were projected together.</param>
    /// <param name="output">Row 0 of y, at the first output that is added to.</param>
    /// <param name="numbers">From there to y's end.</param>
    AddTarget TargetOf(LowRankPair? w, int index, int firstSlot, int first, int count, float* output, int numbers, int width, ReadOnlySpan<int> rows)
    {
        if (w is null) return default;
        if (first < 0 || count < 1 || count > w.B.Rows - first || count > _maxOutputs || count > width)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"{count} outputs from {first} are not within {w.B.Rows}, or more than {_maxOutputs}");
        CheckRows(rows, firstSlot, (numbers - count) / width + 1);
        return new AddTarget
        {
            Product = w.B.Product,
            OfOneRow = (ILowRankProduct)w.B.Product,
            Weights = w.B.Pointer + (first / RowGroup.Rows * w.B.GroupBytes),
            GroupBytes = w.B.GroupBytes,
            Rank = w.Rank,
            Count = count,
            Projected = ProjectedOf(index, firstSlot),
            Products = _products.Pointer + ((long)index * TileRows * _maxOutputs),
            Target = output,
            Width = width,
        };
    }

    float* ProjectedOf(int index, int firstSlot) => _projected.Pointer + ((((long)index * _maxRows) + firstSlot) * _maxRank);

    ProjectJob JobOf(in Projection projection, int* rows)
    {
        var job = projection.Job;
        job.Rows = rows;
        job.RowCount = projection.Rows.Length;
        job.Parts = _parts.Pointer + ((long)projection.FirstSlot * job.RowParts);
        return job;
    }

    /// <summary>t of rows, from their parts. Each row's t stands right behind the one before, as products take them.</summary>
    /// <param name="before">Rows of the projection before these.</param>
    void AddUp(in Projection projection, in ProjectJob job, int before)
    {
        AddUp(projection.First, job, 0, ProjectedOf(0, projection.FirstSlot), before);
        AddUp(projection.Second, job, 1, ProjectedOf(1, projection.FirstSlot), before);
        AddUp(projection.Third, job, 2, ProjectedOf(2, projection.FirstSlot), before);
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

    /// <summary>Rows of an input that are projected with up to three matrices.</summary>
    /// <param name="Job">Without the rows, and without room for parts.</param>
    readonly record struct Projection(ProjectJob Job, ReadOnlyMemory<int> Rows, int FirstSlot, LowRankPair? First, LowRankPair? Second, LowRankPair? Third)
    {
        public long Multiplications => (long)Rows.Length * Job.Columns * (RankOf(First) + RankOf(Second) + RankOf(Third));

        public void KeepAlive() => LowRankProduct.KeepAlive(First, Second, Third);
    }
}
