using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>The product of activations and weights: y[B, R] = x[B, C] . w[R, C]^T.</summary>
public static unsafe class MatMul
{
    /// <summary>
    /// Every element of y is computed alone and in one order, so it does not depend in any bit on B or on the number of threads.
    /// </summary>
    public static void Multiply(ComputeThreads threads, PackedMatrix w, MatMulInput x, Span<float> y)
    {
        if (x.Columns != w.Columns) throw new ArgumentException($"w[{w.Rows}, {w.Columns}] cannot take x[{x.Rows}, {x.Columns}]", nameof(x));
        if (y.Length != (long)x.Rows * w.Rows) throw new ArgumentException($"y[{x.Rows}, {w.Rows}] does not have {y.Length} elements", nameof(y));
        fixed (float* destination = y)
        {
            var job = new Job { Weights = w, Input = x, Destination = destination };
            threads.Run(ref job);
        }
    }

    struct Job : IComputeJob
    {
        public PackedMatrix Weights;
        public MatMulInput Input;
        public float* Destination;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int thread, int threads)
        {
            var (w, x) = (Weights, Input);
            var weights = NativeMemory.Alloc((nuint)w.Columns * sizeof(float));
            try
            {
                var row = new Span<float>(weights, w.Columns);
                var end = (int)((long)w.Rows * (thread + 1) / threads);
                for (var r = (int)((long)w.Rows * thread / threads); r < end; r++)
                {
                    w.DecodeRow(r, row);
                    for (var b = 0; b < x.Rows; b++) Destination[(long)b * w.Rows + r] = Dot(row, x.Row(b));
                }
            }
            finally
            {
                NativeMemory.Free(weights);
            }
        }

        static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
        {
            var sum = 0f;
            for (var i = 0; i < a.Length; i++) sum = MathF.FusedMultiplyAdd(a[i], b[i], sum);
            return sum;
        }
    }
}
