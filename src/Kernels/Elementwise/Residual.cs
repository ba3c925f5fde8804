namespace LlamaCluster.Kernels.Elementwise;

/// <summary>The residual stream.</summary>
public static unsafe class Residual
{
    /// <summary>x[B, D] += y[B, D].</summary>
    public static void Add(ComputeThreads threads, Span<float> x, ReadOnlySpan<float> y)
    {
        if (y.Length != x.Length) throw new ArgumentException($"{y.Length} numbers where x has {x.Length}", nameof(y));
        fixed (float* stream = x, part = y)
        {
            var job = new Job { Stream = stream, Part = part, Length = x.Length };
            RowJobs.Run(threads, ref job, x.Length);
        }
    }

    /// <summary>x[B, D] += y[B, C] in the columns from <paramref name="firstColumn"/> on.</summary>
    /// <param name="width">D</param>
    /// <param name="columns">C</param>
    public static void Add(ComputeThreads threads, Span<float> x, int width, int firstColumn, int columns, ReadOnlySpan<float> y)
    {
        if (firstColumn < 0 || columns < 1 || columns > width - firstColumn)
            throw new ArgumentOutOfRangeException(nameof(columns), columns, $"{columns} columns from {firstColumn} are not within {width}");
        if (columns == width)
        {
            Add(threads, x, y);
            return;
        }
        var rows = RowJobs.Rows(x.Length, width, nameof(x));
        if (y.Length != (long)rows * columns) throw new ArgumentException($"{y.Length} numbers where {rows} rows of {columns} are", nameof(y));
        fixed (float* stream = x, part = y)
        {
            var job = new ColumnJob { Stream = stream + firstColumn, Width = width, Part = part, Columns = columns, Rows = rows };
            RowJobs.Run(threads, ref job, y.Length);
        }
    }

    struct Job : IComputeJob
    {
        public float* Stream;
        public float* Part;
        public int Length;

        public readonly void Run(int thread, int threads)
        {
            var start = RowJobs.Start(Length, thread, threads);
            RowMath.Chosen.Add(Stream + start, Part + start, RowJobs.Start(Length, thread + 1, threads) - start);
        }
    }

    struct ColumnJob : IComputeJob
    {
        public float* Stream;
        public float* Part;
        public int Width;
        public int Columns;
        public int Rows;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Rows, thread + 1, threads);
            for (var row = RowJobs.Start(Rows, thread, threads); row < end; row++)
                RowMath.Chosen.Add(Stream + ((long)row * Width), Part + ((long)row * Columns), Columns);
        }
    }
}
