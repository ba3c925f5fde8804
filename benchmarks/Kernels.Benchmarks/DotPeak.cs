using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>
/// How many products of bytes a second the instructions that .NET has can form and add up, from registers alone, and how many the products of many rows do
/// form: what prefill is measured against (docs/engine-speed.md).
/// </summary>
static class DotPeak
{
    /// <summary>Of a measurement, and how many of them there are; the best one counts.</summary>
    const double Seconds = 0.5;

    const int Rounds = 5;

    /// <summary>Rounds of a loop between two looks at the clock.</summary>
    const int Turns = 200_000;

    /// <summary>Independent sums: enough for the latency of a step on either port, and few enough for 16 registers, constants with them.</summary>
    const int Sums = 9;

    public static void Print(TextWriter output)
    {
        foreach (var threads in new[] { 1, 2 })
        {
            output.WriteLine(Text($"{threads} thread(s), 10^9 multiply-adds of bytes a second, the best of {Rounds}"));
            if (Avx2.IsSupported)
                output.WriteLine(Text(
                    $"  pairs of 256 bits, widened and added, from registers: {Best(threads, Loop<Pairs256, Vector256<int>>, Sums * 32L * Turns):0}"));
            if (AvxVnni.IsSupported)
                output.WriteLine(Text(
                    $"  dot products of 256 bits (AVX-VNNI), from registers: {Best(threads, Loop<Dots256, Vector256<int>>, Sums * 32L * Turns):0}"));
            if (Avx512BW.IsSupported)
                output.WriteLine(Text(
                    $"  pairs of 512 bits, widened and added, from registers: {Best(threads, Loop<Pairs512, Vector512<int>>, Sums * 64L * Turns):0}"));
            TensorType[] types = [TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q6_K, TensorType.IQ4_XS, TensorType.IQ3_S, TensorType.IQ2_XS];
            foreach (var type in types)
                output.WriteLine(Text($"  {type}, product of 256 rows, weights in the caches: {Product(type, threads):0}"));
        }
    }

    /// <param name="products">Of a call.</param>
    static double Best(int threads, Action work, long products)
    {
        var best = 0.0;
        for (var round = 0; round < Rounds; round++)
        {
            long calls = 0;
            var begun = Stopwatch.GetTimestamp();
            var all = new Thread[threads];
            for (var i = 0; i < threads; i++)
            {
                all[i] = new Thread(() =>
                {
                    while (Stopwatch.GetElapsedTime(begun).TotalSeconds < Seconds)
                    {
                        work();
                        Interlocked.Increment(ref calls);
                    }
                });
                all[i].Start();
            }
            foreach (var thread in all) thread.Join();
            best = Math.Max(best, calls * products / Stopwatch.GetElapsedTime(begun).TotalSeconds / 1e9);
        }
        return best;
    }

    static double Product(TensorType type, int threadCount)
    {
        const int rows = 512, columns = 1024, batch = 256;
        using var threads = new ComputeThreads(threadCount);
        using var weights = new PackedMatrix(type, rows, columns);
        weights.Pack(0, new byte[rows * type.RowBytes(columns)]);
        using var input = new MatMulInput(batch, columns);
        var (x, y) = (new float[batch * columns], new float[batch * rows]);
        Array.Fill(x, 1);
        input.Set(threads, x, batch, columns);
        return Best(1, () => MatMul.Multiply(threads, weights, input, y), (long)rows * columns * batch);   // which has threads of its own
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Loop<TStep, V>() where TStep : IStep<V> where V : struct
    {
        V s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default, s8 = default;
        for (var i = 0; i < Turns; i++)
        {
            (s0, s1, s2) = (TStep.Add(s0), TStep.Add(s1), TStep.Add(s2));
            (s3, s4, s5) = (TStep.Add(s3), TStep.Add(s4), TStep.Add(s5));
            (s6, s7, s8) = (TStep.Add(s6), TStep.Add(s7), TStep.Add(s8));
        }
        // One call, for registers do not outlive it: the compiler would keep sums in memory for the sake of a second one.
        Keep(TStep.Both(TStep.Both(TStep.Both(s0, s1), TStep.Both(s2, s3)), TStep.Both(TStep.Both(s4, s5), TStep.Both(s6, TStep.Both(s7, s8)))));
    }

    /// <summary>So that nothing is left out as unused.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Keep<V>(V sum) => _ = sum;

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>A sum and a register's products more.</summary>
    interface IStep<V>
    {
        static abstract V Add(V sum);

        static abstract V Both(V a, V b);
    }

    readonly struct Dots256 : IStep<Vector256<int>>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum) => AvxVnni.MultiplyWideningAndAdd(sum, Vector256.Create((byte)7), Vector256.Create((sbyte)3));

        public static Vector256<int> Both(Vector256<int> a, Vector256<int> b) => a + b;
    }

    // An operand that does not change would have the compiler form the product once.
    readonly struct Pairs256 : IStep<Vector256<int>>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum) => sum + Avx2.MultiplyAddAdjacent(
            Avx2.MultiplyAddAdjacent(Vector256.Create((byte)7), sum.AsSByte() ^ Vector256.Create((sbyte)3)), Vector256.Create((short)1));

        public static Vector256<int> Both(Vector256<int> a, Vector256<int> b) => a + b;
    }

    readonly struct Pairs512 : IStep<Vector512<int>>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Add(Vector512<int> sum) => sum + Avx512BW.MultiplyAddAdjacent(
            Avx512BW.MultiplyAddAdjacent(Vector512.Create((byte)7), sum.AsSByte() ^ Vector512.Create((sbyte)3)), Vector512.Create((short)1));

        public static Vector512<int> Both(Vector512<int> a, Vector512<int> b) => a + b;
    }
}
