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

    static void Run(ComputeThreads threads, PackedMatrix? next, MultiplyJob job, long multiplications, LowRankProduct? beside = null)
    {
        job.Beside = beside?.BeginProduct();
        if (job.Beside is not null) job.Check();
        for (var thread = 1; thread < threads.Count; thread++)
            threads.WillRead(thread, next is null ? null : next.Pointer + MultiplyJob.OwnRange(next.Groups, thread, threads.Count).First * next.GroupBytes);
        if (multiplications < ParallelMultiplications) job.Run(0, 1);
        else threads.Run(ref job);
        job.Beside?.EndProduct();
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
            beside?.Add(index, FirstRow, Task.Rows, first, end, Task.Output);
        }

        public readonly void Check(int index, LowRankProduct beside)
        {
            if (Groups > 0) beside.Check(index, FirstRow, Task.Rows, Task.Batch);
        }
    }

    /// <summary>
    /// Each thread begins with a range of row groups that is certain to be its own, so that it could be fetched ahead. The rest is taken in
    /// ranges, of all parts one after the other, large ones first and small ones in the end: the threads then finish together, though one may be held up
    /// by what else the machine does.
    /// </summary>
    struct MultiplyJob : IComputeJob
    {
        /// <summary>Going on with a range costs a wait for memory, which fewer groups would not be worth.</summary>
        const int SmallestRange = 4;

        public JobPart First, Second, Third;

        /// <summary>What is added to the products, and projected before them, by each thread its share; null: nothing.</summary>
        public LowRankProduct? Beside;
        int _taken;

        /// <exception cref="ArgumentException">What is to be added does not fit the products.</exception>
        public readonly void Check()
        {
            First.Check(0, Beside!);
            Second.Check(1, Beside!);
            Third.Check(2, Beside!);
        }

        /// <summary>The range that a thread begins with.</summary>
        public static (int First, int End) OwnRange(int groups, int thread, int threads) => ComputeThreads.Share(groups / 2, thread, threads);

        public void Run(int thread, int threads)
        {
            var (own, ownEnd) = OwnRange(First.Groups, thread, threads);
            Beside?.RunBeside(thread, threads);
            First.Run(0, own, ownEnd, beside: null);
            Beside?.AwaitProjected();   // the own range took far longer than threads are apart
            if (own < ownEnd) Beside?.Add(0, First.FirstRow, First.Task.Rows, own, ownEnd, First.Task.Output);
            var (second, third) = (First.Groups, First.Groups + Second.Groups);
            while (TryTake(threads, out var first, out var end))
            {
                First.Run(0, first, end, Beside);
                Second.Run(1, first - second, end - second, Beside);
                Third.Run(2, first - third, end - third, Beside);
            }
        }

        bool TryTake(int threads, out int first, out int end)
        {
            var shared = First.Groups / 2;
            var groups = First.Groups - shared + Second.Groups + Third.Groups;
            int taken;
            do
            {
                taken = Volatile.Read(ref _taken);
                var left = groups - taken;
                var count = Math.Min(left, threads == 1 ? left : Math.Max(SmallestRange, left / (2 * threads)));
                (first, end) = (shared + taken, shared + taken + count);
            }
            while (first < end && Interlocked.CompareExchange(ref _taken, end - shared, taken) != taken);
            return first < end;
        }
    }
}
