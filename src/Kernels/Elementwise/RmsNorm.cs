namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Root mean square layer normalisation (https://arxiv.org/abs/1910.07467).</summary>
public static unsafe class RmsNorm
{
    /// <summary>y[B, D] = x[B, D] / sqrt(mean of the row's squares + epsilon) * weight[D].</summary>
    public static void Apply(ComputeThreads threads, ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, Span<float> y)
    {
        var rows = RowJobs.Rows(x.Length, weight.Length, nameof(x));
        RowJobs.Rows(y.Length, weight.Length, nameof(y));
        if (y.Length != x.Length) throw new ArgumentException($"{y.Length} numbers where x has {x.Length}", nameof(y));
        fixed (float* input = x, scale = weight, output = y)
        {
            var job = new Job { Input = input, Weight = scale, Epsilon = epsilon, Output = output, Rows = rows, Length = weight.Length };
            RowJobs.Run(threads, ref job, x.Length);
        }
    }

    struct Job : IComputeJob
    {
        public float* Input;
        public float* Weight;
        public float* Output;
        public float Epsilon;
        public int Rows;
        public int Length;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Rows, thread + 1, threads);
            for (var row = RowJobs.Start(Rows, thread, threads); row < end; row++)
                RowMath.Chosen.RmsNorm(Input + ((long)row * Length), Weight, Epsilon, Output + ((long)row * Length), Length);
        }
    }
}
