using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Kernels;

/// <summary>The product of activations and weights: y[B, R] = x[B, C] . w[R, C]^T.</summary>
public static unsafe class MatMul
{
    /// <summary>Products with fewer multiplications are done by the caller alone: waking the others would take longer.</summary>
    const long ParallelMultiplications = 64 * 1024;

    /// <summary>
    /// Every element of y is computed by one thread, in an order that only C and the type of w determine: it does not depend in any bit on B, on
    /// the number of threads or on the width of the vectors. Allocates nothing.
    /// </summary>
    /// <param name="y">y[B, R], row after row.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static void Multiply(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y) =>
        Multiply(threads, w, x, y, w.Product);

    internal static void Multiply(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y, IProduct product)
    {
        if (x.Columns != w.Columns) throw new ArgumentException($"w[{w.Rows}, {w.Columns}] cannot take x[{x.Rows}, {x.Columns}]", nameof(x));
        if (y.Length != (long)x.Rows * w.Rows) throw new ArgumentException($"y[{x.Rows}, {w.Rows}] does not have {y.Length} elements", nameof(y));

        fixed (float* output = y)
        {
            var task = new ProductTask
            {
                Weights = w.Pointer,
                GroupBytes = w.GroupBytes,
                Rows = w.Rows,
                Columns = w.Columns,
                Batch = x.Rows,
                Floats = x.Floats,
                Blocks = product.TakesBlocks ? x.Blocks(threads) : null,
                Output = output,
            };
            var job = new MultiplyJob { Product = product, Task = task, Groups = w.Groups };
            if ((long)x.Rows * w.Rows * w.Columns < ParallelMultiplications) job.Run(0, 1);
            else threads.Run(ref job);
        }

        GC.KeepAlive(w);
        GC.KeepAlive(x);
    }

    /// <summary>Each thread takes a range of row groups.</summary>
    struct MultiplyJob : IComputeJob
    {
        public IProduct Product;
        public ProductTask Task;
        public int Groups;

        public readonly void Run(int thread, int threads)
        {
            var (first, end) = ComputeThreads.Share(Groups, thread, threads);
            Product.Run(Task, first, end);
        }
    }
}
