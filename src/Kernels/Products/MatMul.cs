using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product of activations and weights: y[B, R] = x[B, C] . w[R, C]^T. Every element of y is computed by one thread, in an order that only C and
/// the type of w determine: it does not depend in any bit on B, on the number of threads or on the width of the vectors. Allocates nothing.
/// </summary>
public static unsafe class MatMul
{
    /// <summary>
    /// Products with fewer multiplications, some ten microseconds' worth, are done by the caller alone: waking the others may take longer.
    /// </summary>
    const long ParallelMultiplications = 256 * 1024;

    /// <param name="y">y[B, R], row after row.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static void Multiply(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y) => Multiply(threads, w, x, y, w.Product);

    /// <summary>The product with some rows of w: y[B, count] = x[B, C] . w[first .. first + count, C]^T. The same bits as within the whole product.</summary>
    /// <param name="firstRow">A multiple of <see cref="RowGroup.Rows"/>.</param>
    /// <exception cref="ArgumentException">The rows are not such, or the shapes do not belong together.</exception>
    /// <param name="beside">What the threads add to it, projected from the same input; null: nothing.</param>
    public static void Multiply(
        ComputeThreads threads, PackedMatrix w, int firstRow, int rowCount, MatMulInput x, Span<float> y, LowRankProduct? beside = null)
    {
        fixed (float* output = y)
        {
            var part = Part(threads, w, firstRow, rowCount, x, y, output, w.Product);
            Run(threads, w.Next, new MultiplyJob { First = part }, (long)x.Rows * x.Columns * rowCount, beside);
        }

        GC.KeepAlive(w);
        GC.KeepAlive(x);
    }

    /// <summary>Two products of one input, for which the threads meet once.</summary>
    /// <param name="beside">What the threads add to them, projected from the same input; null: nothing.</param>
    public static void Multiply(
        ComputeThreads threads, MatMulInput x, PackedMatrix w0, Span<float> y0, PackedMatrix w1, Span<float> y1, LowRankProduct? beside = null)
    {
        fixed (float* output0 = y0, output1 = y1)
        {
            var job = new MultiplyJob { First = Part(threads, w0, x, y0, output0, w0.Product), Second = Part(threads, w1, x, y1, output1, w1.Product) };
            Run(threads, w0.Next, job, (long)x.Rows * x.Columns * (w0.Rows + w1.Rows), beside);
        }

        GC.KeepAlive(w0);
        GC.KeepAlive(w1);
        GC.KeepAlive(x);
    }

    /// <summary>Three products of one input, for which the threads meet once.</summary>
    /// <param name="beside">What the threads add to them, projected from the same input; null: nothing.</param>
    public static void Multiply(
        ComputeThreads threads, MatMulInput x, PackedMatrix w0, Span<float> y0, PackedMatrix w1, Span<float> y1, PackedMatrix w2, Span<float> y2,
        LowRankProduct? beside = null)
    {
        fixed (float* output0 = y0, output1 = y1, output2 = y2)
        {
            var job = new MultiplyJob
            {
                First = Part(threads, w0, x, y0, output0, w0.Product),
                Second = Part(threads, w1, x, y1, output1, w1.Product),
                Third = Part(threads, w2, x, y2, output2, w2.Product),
            };
            Run(threads, w0.Next, job, (long)x.Rows * x.Columns * (w0.Rows + w1.Rows + w2.Rows), beside);
        }

        GC.KeepAlive(w0);
        GC.KeepAlive(w1);
        GC.KeepAlive(w2);
        GC.KeepAlive(x);
    }

    internal static void Multiply(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y, IProduct product)
    {
        fixed (float* output = y)
            Run(threads, w.Next, new MultiplyJob { First = Part(threads, w, x, y, output, product) }, (long)x.Rows * x.Columns * w.Rows);
        GC.KeepAlive(w);
        GC.KeepAlive(x);
    }

    static JobPart Part(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y, float* output, IProduct product) =>
        Part(threads, w, 0, w.Rows, x, y, output, product);

    static JobPart Part(
        ComputeThreads threads, PackedMatrix w, int firstRow, int rowCount, MatMulInput x, Span<float> y, float* output, IProduct product)
    {
        if (firstRow < 0 || firstRow % RowGroup.Rows != 0 || rowCount < 1 || rowCount > w.Rows - firstRow)
            throw new ArgumentOutOfRangeException(
                nameof(firstRow), $"rows {firstRow}..+{rowCount} do not start a group of {RowGroup.Rows} within {w.Rows} rows");
        if (x.Columns != w.Columns) throw new ArgumentException($"w[{w.Rows}, {w.Columns}] cannot take x[{x.Rows}, {x.Columns}]", nameof(x));
        if (y.Length != (long)x.Rows * rowCount) throw new ArgumentException($"y[{x.Rows}, {rowCount}] does not have {y.Length} elements", nameof(y));
        var task = new ProductTask
        {
            Weights = w.Pointer + firstRow / RowGroup.Rows * w.GroupBytes,
            GroupBytes = w.GroupBytes,
            Rows = rowCount,
            Columns = w.Columns,
            Batch = x.Rows,
            Floats = x.Floats,
            Blocks = product.BlocksPerScale > 0 ? x.Blocks(threads, product.BlocksPerScale) : null,
            Output = output,
        };
        return new JobPart { Product = product, Task = task, Groups = (int)(((long)rowCount + RowGroup.Rows - 1) / RowGroup.Rows), FirstRow = firstRow };
    }

    static void Run(ComputeThreads threads, IReadOnlyList<PackedMatrix> next, MultiplyJob job, long multiplications, LowRankProduct? beside = null)
    {
        job.Beside = beside?.BeginProduct();
        if (job.Beside is not null) job.Check();
        for (var thread = 0; thread < threads.Count; thread++) threads.WillRead(thread, StartOf(next, thread, threads.Count));
        if (multiplications < ParallelMultiplications)
        {
            job.RunAlone();
        }
        else
        {
            job.Ranges = threads.Ranges;
            job.Ranges.ShareOut(job.Groups, threads.Count);
            threads.Run(ref job);
        }
        job.Beside?.EndProduct();
    }

    /// <summary>Where a thread's range of the product with some matrices begins. Null: there are no matrices.</summary>
    static byte* StartOf(IReadOnlyList<PackedMatrix> matrices, int thread, int threads)
    {
        var groups = 0;
        for (var i = 0; i < matrices.Count; i++) groups += matrices[i].Groups;
        var (first, _) = ComputeThreads.Share(groups, thread, threads);
        for (var i = 0; i < matrices.Count; first -= matrices[i++].Groups)
            if (first < matrices[i].Groups) return matrices[i].Pointer + first * matrices[i].GroupBytes;
        return null;
    }

    struct JobPart
    {
        public IProduct? Product;
        public ProductTask Task;
        public int Groups;

        /// <summary>The matrix's row that the product begins with.</summary>
        public int FirstRow;

        /// <summary>
        /// Computes those of the groups <paramref name="first"/> .. <paramref name="end"/> that this part has, counted from its own first one.
        /// </summary>
        /// <param name="index">Which of the parts it is, for what is added.</param>
        public readonly void Run(int index, int first, int end, LowRankProduct? beside)
        {
            (first, end) = (Math.Max(first, 0), Math.Min(end, Groups));
            if (first >= end) return;
            Product!.Run(Task, first, end);
            if (beside is not null) Add(index, first, end, beside);
        }

        /// <summary>Adds to what <see cref="Run"/> has computed.</summary>
        public readonly void Add(int index, int first, int end, LowRankProduct beside)
        {
            if (Groups > 0) beside.Add(index, FirstRow, Task.Rows, first, end, Task.Output);
        }

        public readonly void Check(int index, LowRankProduct beside)
        {
            if (Groups > 0) beside.Check(index, FirstRow, Task.Rows, Task.Batch);
        }
    }

    /// <summary>The threads share the row groups of all parts, one part after the other.</summary>
    struct MultiplyJob : IComputeJob
    {
        /// <summary>Going on elsewhere costs a wait for memory, which fewer groups would not be worth.</summary>
        const int SmallestRange = 4;

        public JobPart First, Second, Third;

        /// <summary>What is added to the products, and projected before them, by each thread its share; null: nothing.</summary>
        public LowRankProduct? Beside;

        public SharedRanges? Ranges;

        public readonly int Groups => First.Groups + Second.Groups + Third.Groups;

        /// <exception cref="ArgumentException">What is to be added does not fit the products.</exception>
        public readonly void Check()
        {
            First.Check(0, Beside!);
            Second.Check(1, Beside!);
            Third.Check(2, Beside!);
        }

        public readonly void RunAlone()
        {
            Beside?.RunBeside(0, 1);
            Run(0, Groups, Beside);
        }

        public readonly void Run(int thread, int threads)
        {
            Beside?.RunBeside(thread, threads);
            var more = Ranges!.TryTake(thread, SmallestRange, out var first, out var end);
            if (more) Run(first, end, beside: null);
            Beside?.AwaitProjected();   // that took far longer than threads are apart
            if (more) Add(first, end);
            while (Ranges.TryTake(thread, SmallestRange, out first, out end)) Run(first, end, Beside);
        }

        readonly void Run(int first, int end, LowRankProduct? beside)
        {
            var (second, third) = (First.Groups, First.Groups + Second.Groups);
            First.Run(0, first, end, beside);
            Second.Run(1, first - second, end - second, beside);
            Third.Run(2, first - third, end - third, beside);
        }

        readonly void Add(int first, int end)
        {
            if (Beside is null) return;
            var (second, third) = (First.Groups, First.Groups + Second.Groups);
            First.Add(0, first, end, Beside);
            Second.Add(1, first - second, end - second, Beside);
            Third.Add(2, first - third, end - third, Beside);
        }
    }
}
