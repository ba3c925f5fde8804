namespace LlamaCluster.Kernels.Elementwise;

/// <summary>The gate of the feed-forward (https://arxiv.org/abs/2002.05202): silu(g) * u with silu(g) = g / (1 + e^-g).</summary>
public static unsafe class SwiGlu
{
    /// <summary>gate[B, F] = silu(gate[B, F]) * up[B, F].</summary>
    public static void Apply(ComputeThreads threads, Span<float> gate, ReadOnlySpan<float> up)
    {
        if (up.Length != gate.Length) throw new ArgumentException($"{up.Length} numbers where gate has {gate.Length}", nameof(up));
        fixed (float* g = gate, u = up)
        {
            var job = new Job { Gate = g, Up = u, Length = gate.Length };
            RowJobs.Run(threads, ref job, gate.Length);
        }
    }

    struct Job : IComputeJob
    {
        public float* Gate;
        public float* Up;
        public int Length;

        public readonly void Run(int thread, int threads)
        {
            var start = RowJobs.Start(Length, thread, threads);
            RowMath.Chosen.SwiGlu(Gate + start, Up + start, RowJobs.Start(Length, thread + 1, threads) - start);
        }
    }
}
