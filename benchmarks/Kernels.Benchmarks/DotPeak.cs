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
/// form: what prefill is measured against (docs/benchmarks.md).
/// </summary>
static class DotPeak
{
    /// <summary>Of a measurement, and how many of them there are; the best one counts.</summary>
    const double Seconds = 0.5;

    const int Rounds = 5;

    /// <summary>Calls of a loop that are made between two looks at the clock.</summary>
    const int Turns = 200_000;

    /// <summary>Independent sums, enough for the latency of an instruction on either port.</summary>
    const int Sums = 12;

    public static void Print(TextWriter output)
    {
        foreach (var threads in new[] { 1, 2 })
        {
            output.WriteLine(Text($"{threads} thread(s), 10^9 multiply-adds of bytes a second, the best of {Rounds}"));
            if (AvxVnni.IsSupported) output.WriteLine(Text($"  dot products of 256 bits (AVX-VNNI), from registers: {Best(threads, Vnni256, Sums * 32L * Turns):0}"));
            if (Avx512BW.IsSupported) output.WriteLine(Text($"  pairs of 512 bits, widened and added, from registers: {Best(threads, Pairs512, Sums * 64L * Turns):0}"));
            foreach (var type in new[] { TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q6_K, TensorType.IQ4_XS })
                output.WriteLine(Text($"  {type}, product of 256 rows, weights in the caches: {Product(type, threads):0}"));
        }
    }

    static double Best(int threads, Action loop, long products)
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
                        loop();
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
        var best = 0.0;
        for (var round = 0; round < Rounds; round++)
        {
            var (calls, begun) = (0, Stopwatch.GetTimestamp());
            while (Stopwatch.GetElapsedTime(begun).TotalSeconds < Seconds)
            {
                MatMul.Multiply(threads, weights, input, y);
                calls++;
            }
            best = Math.Max(best, calls * (double)rows * columns * batch / Stopwatch.GetElapsedTime(begun).TotalSeconds / 1e9);
        }
        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Vnni256()
    {
        var (codes, x) = (Vector256.Create((byte)7), Vector256.Create((sbyte)3));
        Vector256<int> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default;
        Vector256<int> s6 = default, s7 = default, s8 = default, s9 = default, s10 = default, s11 = default;
        for (var i = 0; i < Turns; i++)
        {
            s0 = AvxVnni.MultiplyWideningAndAdd(s0, codes, x);
            s1 = AvxVnni.MultiplyWideningAndAdd(s1, codes, x);
            s2 = AvxVnni.MultiplyWideningAndAdd(s2, codes, x);
            s3 = AvxVnni.MultiplyWideningAndAdd(s3, codes, x);
            s4 = AvxVnni.MultiplyWideningAndAdd(s4, codes, x);
            s5 = AvxVnni.MultiplyWideningAndAdd(s5, codes, x);
            s6 = AvxVnni.MultiplyWideningAndAdd(s6, codes, x);
            s7 = AvxVnni.MultiplyWideningAndAdd(s7, codes, x);
            s8 = AvxVnni.MultiplyWideningAndAdd(s8, codes, x);
            s9 = AvxVnni.MultiplyWideningAndAdd(s9, codes, x);
            s10 = AvxVnni.MultiplyWideningAndAdd(s10, codes, x);
            s11 = AvxVnni.MultiplyWideningAndAdd(s11, codes, x);
        }
        Keep(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Pairs512()
    {
        var (codes, x, ones) = (Vector512.Create((byte)7), Vector512.Create((sbyte)3), Vector512.Create((short)1));
        Vector512<int> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default;
        Vector512<int> s6 = default, s7 = default, s8 = default, s9 = default, s10 = default, s11 = default;
        for (var i = 0; i < Turns; i++)
        {
            // Operands that do not change would have the compiler form the product once.
            s0 += Pair(codes, x ^ s0.AsSByte(), ones);
            s1 += Pair(codes, x ^ s1.AsSByte(), ones);
            s2 += Pair(codes, x ^ s2.AsSByte(), ones);
            s3 += Pair(codes, x ^ s3.AsSByte(), ones);
            s4 += Pair(codes, x ^ s4.AsSByte(), ones);
            s5 += Pair(codes, x ^ s5.AsSByte(), ones);
            s6 += Pair(codes, x ^ s6.AsSByte(), ones);
            s7 += Pair(codes, x ^ s7.AsSByte(), ones);
            s8 += Pair(codes, x ^ s8.AsSByte(), ones);
            s9 += Pair(codes, x ^ s9.AsSByte(), ones);
            s10 += Pair(codes, x ^ s10.AsSByte(), ones);
            s11 += Pair(codes, x ^ s11.AsSByte(), ones);
        }
        Keep((s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11).GetLower());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> Pair(Vector512<byte> codes, Vector512<sbyte> x, Vector512<short> ones) =>
        Avx512BW.MultiplyAddAdjacent(Avx512BW.MultiplyAddAdjacent(codes, x), ones);

    /// <summary>So that nothing is left out as unused.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Keep(Vector256<int> value) => _ = value;

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
