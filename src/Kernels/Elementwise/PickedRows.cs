namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Some rows of activations, each with a factor: picked out to be worked on by themselves, and added to their places again.</summary>
public static unsafe class PickedRows
{
    /// <summary>y[i, D] = x[rows[i], D] * factors[i].</summary>
    /// <param name="x">[B, D]</param>
    /// <param name="width">D</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="factors">As many.</param>
    /// <param name="y">[rows, D]</param>
    public static void Take(ComputeThreads threads, ReadOnlySpan<float> x, int width, ReadOnlySpan<int> rows, ReadOnlySpan<float> factors, Span<float> y)
    {
        Check(x.Length, width, rows, factors, y.Length);
        fixed (float* all = x, factor = factors, picked = y)
        fixed (int* row = rows)
        {
            var job = new TakeJob { All = all, Picked = picked, Rows = row, Factors = factor, Count = rows.Length, Width = width };
            RowJobs.Run(threads, ref job, y.Length);
        }
    }

    /// <summary>x[rows[i], D] += y[i, D] * factors[i], product and sum each rounded; no row stands there twice.</summary>
    /// <inheritdoc cref="Take"/>
    public static void Add(ComputeThreads threads, Span<float> x, int width, ReadOnlySpan<int> rows, ReadOnlySpan<float> factors, ReadOnlySpan<float> y)
    {
        Check(x.Length, width, rows, factors, y.Length);
        fixed (float* all = x, factor = factors, picked = y)
        fixed (int* row = rows)
        {
            var job = new AddJob { All = all, Picked = picked, Rows = row, Factors = factor, Count = rows.Length, Width = width };
            RowJobs.Run(threads, ref job, y.Length);
        }
    }

    /// <summary>x[i, D] *= factors[i].</summary>
    /// <param name="x">[B, D]</param>
    /// <param name="factors">[B]</param>
    public static void Scale(ComputeThreads threads, Span<float> x, ReadOnlySpan<float> factors)
    {
        var (width, rest) = Math.DivRem(x.Length, Math.Max(1, factors.Length));
        if (rest != 0) throw new ArgumentException($"{x.Length} numbers are not {factors.Length} rows", nameof(factors));
        fixed (float* all = x, factor = factors)
        {
            var job = new ScaleJob { All = all, Factors = factor, Count = factors.Length, Width = width };
            RowJobs.Run(threads, ref job, x.Length);
        }
    }

    static void Check(int numbers, int width, ReadOnlySpan<int> rows, ReadOnlySpan<float> factors, int picked)
    {
        var all = RowJobs.Rows(numbers, width, nameof(numbers));
        if (factors.Length != rows.Length) throw new ArgumentException($"{factors.Length} factors for {rows.Length} rows", nameof(factors));
        if (picked != (long)rows.Length * width) throw new ArgumentException($"{picked} numbers where {rows.Length} rows of {width} are", nameof(picked));
        foreach (var row in rows)
            if ((uint)row >= (uint)all) throw new ArgumentOutOfRangeException(nameof(rows), row, $"there are {all} rows");
    }

    struct TakeJob : IComputeJob
    {
        public float* All;
        public float* Picked;
        public int* Rows;
        public float* Factors;
        public int Count;
        public int Width;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Count, thread + 1, threads);
            for (var i = RowJobs.Start(Count, thread, threads); i < end; i++)
                RowMath.Chosen.Scale(All + ((long)Rows[i] * Width), Factors[i], Picked + ((long)i * Width), Width);
        }
    }

    struct AddJob : IComputeJob
    {
        public float* All;
        public float* Picked;
        public int* Rows;
        public float* Factors;
        public int Count;
        public int Width;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Count, thread + 1, threads);
            for (var i = RowJobs.Start(Count, thread, threads); i < end; i++)
                RowMath.Chosen.AddScaled(All + ((long)Rows[i] * Width), Picked + ((long)i * Width), Factors[i], Width);
        }
    }

    struct ScaleJob : IComputeJob
    {
        public float* All;
        public float* Factors;
        public int Count;
        public int Width;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Count, thread + 1, threads);
            for (var i = RowJobs.Start(Count, thread, threads); i < end; i++)
                RowMath.Chosen.Scale(All + ((long)i * Width), Factors[i], All + ((long)i * Width), Width);
        }
    }
}
