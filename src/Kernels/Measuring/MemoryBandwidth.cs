using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Kernels.Measuring;

/// <summary>
/// How fast this machine's memory can be read: the limit of decoding, where every weight is read once for a token. Each thread adds up its part of a
/// buffer.
/// </summary>
public sealed unsafe class MemoryBandwidth : IDisposable
{
    /// <summary>A buffer that no cache of today holds.</summary>
    public const long DefaultBytes = 512 << 20;

    readonly ComputeThreads _threads;
    readonly NativeBuffer<byte> _buffer;

    /// <param name="bytes">Size of the buffer; several times the last cache.</param>
    public MemoryBandwidth(ComputeThreads threads, long bytes = DefaultBytes)
    {
        (_threads, _buffer) = (threads, new NativeBuffer<byte>(bytes));
        Run(threads, write: true); // memory that was never written is one page of zeros
    }

    /// <summary>The best of several passes of all threads together, in bytes per second.</summary>
    /// <param name="duration">Passes are repeated for about this long; 3 at least.</param>
    public static double Measure(ComputeThreads threads, TimeSpan duration, long bytes = DefaultBytes)
    {
        using var memory = new MemoryBandwidth(threads, bytes);
        return bytes / BestTime.Of(memory.Pass, duration).TotalSeconds;
    }

    /// <summary>The time in which the whole buffer is read once.</summary>
    public TimeSpan Pass() => Pass(_threads);

    /// <summary>The time in which other threads read the whole buffer once.</summary>
    public TimeSpan Pass(ComputeThreads threads)
    {
        var start = Stopwatch.GetTimestamp();
        Run(threads, write: false);
        return Stopwatch.GetElapsedTime(start);
    }

    public void Dispose() => _buffer.Dispose();

    void Run(ComputeThreads threads, bool write)
    {
        var job = new SumJob { Start = _buffer.Pointer, Bytes = _buffer.Bytes, Write = write };
        threads.Run(ref job);
        GC.KeepAlive(_buffer);
    }

    struct SumJob : IComputeJob
    {
        public byte* Start;
        public long Bytes;
        public bool Write;

        /// <summary>Somewhere for the sums to go, so that they are made.</summary>
        public long Sum;

        public void Run(int thread, int threads)
        {
            const int Line = 64;
            var (first, end) = ComputeThreads.Share((int)(Bytes / Line), thread, threads);
            var part = Start + (long)first * Line;
            if (Write) NativeMemory.Fill(part, (nuint)(end - first) * Line, 1);
            else Interlocked.Add(ref Sum, SumLines(part, end - first));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        static long SumLines(byte* line, int count)
        {
            // As products of one row ask for weights: pages, long before.
            const int LinesPerPage = PagesAhead.PageBytes / 64;
            Vector<long> even = default, odd = default;
            for (; count > 0; count--, line += 64)
            {
                if (Sse.IsSupported && count % LinesPerPage == 0) Sse.Prefetch1(line + PagesAhead.Bytes);
                for (var i = 0; i < 64; i += 2 * Vector<byte>.Count)
                {
                    even += Unsafe.ReadUnaligned<Vector<long>>(line + i);
                    odd += Unsafe.ReadUnaligned<Vector<long>>(line + (i + Vector<byte>.Count) % 64);
                }
            }

            return Vector.Sum(even + odd);
        }
    }
}
