using System.Diagnostics;

namespace LlamaCluster.Kernels.Measuring;

/// <summary>How fast this machine multiplies: the limit of prefill, where many activation rows meet each weight.</summary>
public static class MultiplyRate
{
    /// <summary>Multiply-adds per second of the product x[B, C] . w[R, C]^T by all threads together: the best of several.</summary>
    /// <param name="rows">R.</param>
    /// <param name="columns">C.</param>
    /// <param name="batch">B; 1 measures a product that waits for memory, if w is larger than the caches.</param>
    /// <param name="duration">Products are repeated for about this long; 3 at least.</param>
    public static double Measure(
        ComputeThreads threads, TimeSpan duration, TensorType type = TensorType.Q4_0, int rows = 2048, int columns = 4096, int batch = 64)
    {
        // The time of a product does not depend on its numbers, so that zeros do. Packing them brings the pages into being.
        using var weights = new PackedMatrix(type, rows, columns);
        weights.Pack(0, new byte[checked((int)(rows * type.RowBytes(columns)))]);
        using var input = new MatMulInput(batch, columns);
        input.Set(threads, new float[batch * columns], batch, columns);
        var y = new float[batch * rows];

        var best = TimeSpan.MaxValue;
        var start = Stopwatch.GetTimestamp();
        for (var pass = 0; pass < 3 || Stopwatch.GetElapsedTime(start) < duration; pass++)
        {
            var passStart = Stopwatch.GetTimestamp();
            MatMul.Multiply(threads, weights, input, y);
            var time = Stopwatch.GetElapsedTime(passStart);
            if (time < best) best = time;
        }

        return (double)batch * rows * columns / best.TotalSeconds;
    }
}
