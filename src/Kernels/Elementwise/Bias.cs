namespace LlamaCluster.Kernels.Elementwise;

/// <summary>The constant that some models add to the outputs of a matrix.</summary>
public static unsafe class Bias
{
    /// <summary>x[B, D] += bias[D] in each row.</summary>
    public static void Add(ComputeThreads threads, Span<float> x, ReadOnlySpan<float> bias)
    {
        var rows = RowJobs.Rows(x.Length, bias.Length, nameof(x));
        fixed (float* outputs = x, added = bias)
        {
            var job = new Job { Outputs = outputs, Bias = added, Rows = rows, Width = bias.Length };
            RowJobs.Run(threads, ref job, x.Length);
        }
    }

    struct Job : IComputeJob
    {
        public float* Outputs;
        public float* Bias;
        public int Rows;
        public int Width;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Rows, thread + 1, threads);
            for (var row = RowJobs.Start(Rows, thread, threads); row < end; row++)
                RowMath.Chosen.Add(Outputs + ((long)row * Width), Bias, Width);
        }
    }
}
