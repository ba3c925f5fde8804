using System.Diagnostics;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Measuring;

/// <summary>
/// How fast this machine multiplies, x[B, C] . w[R, C]^T: the limit of prefill, where many activation rows meet each weight. The time of a product
/// does not depend on its numbers, so that all are 0.
/// </summary>
public sealed class MultiplyRate : IDisposable
{
    readonly ComputeThreads _threads;
    readonly PackedMatrix _weights;
    readonly MatMulInput _input;
    readonly float[] _y;

    /// <param name="rows">R.</param>
    /// <param name="columns">C.</param>
    /// <param name="batch">B; 1 measures a product that waits for memory, if w is larger than the caches.</param>
    public MultiplyRate(ComputeThreads threads, TensorType type, int rows, int columns, int batch)
    {
        (_threads, _weights, _input, _y) = (threads, new PackedMatrix(type, rows, columns), new MatMulInput(batch, columns), new float[batch * rows]);
        MultiplyAdds = (double)batch * rows * columns;
        // Packing brings the pages of the weights into being.
        _weights.Pack(0, new byte[checked((int)(rows * type.RowBytes(columns)))]);
        _input.Set(threads, new float[batch * columns], batch, columns);
    }

    /// <summary>Multiplications of one product.</summary>
    public double MultiplyAdds { get; }

    /// <summary>The time of one product.</summary>
    public TimeSpan Pass()
    {
        var start = Stopwatch.GetTimestamp();
        MatMul.Multiply(_threads, _weights, _input, _y);
        return Stopwatch.GetElapsedTime(start);
    }

    public void Dispose()
    {
        _weights.Dispose();
        _input.Dispose();
    }
}

/// <summary>The shortest time of something done again and again: whatever else the machine does can only make one longer.</summary>
public static class BestTime
{
    const int LeastPasses = 3;

    /// <param name="pass">Does it once, and says how long it took.</param>
    /// <param name="duration">It is repeated for about this long; 3 times at least.</param>
    public static TimeSpan Of(Func<TimeSpan> pass, TimeSpan duration)
    {
        var best = TimeSpan.MaxValue;
        var start = Stopwatch.GetTimestamp();
        for (var passes = 0; passes < LeastPasses || Stopwatch.GetElapsedTime(start) < duration; passes++)
        {
            var time = pass();
            if (time < best) best = time;
        }
        return best;
    }
}
