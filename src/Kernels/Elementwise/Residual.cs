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
}
