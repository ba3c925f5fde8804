namespace LlamaCluster.Kernels.Elementwise;

/// <summary>
/// Rotary position embedding (https://arxiv.org/abs/2104.09864) of neighbouring pairs, which is the order of GGUF files:
/// <c>(x[2i], x[2i+1])</c> turns by <c>position * frequency[i]</c>.
/// </summary>
public static unsafe class Rope
{
    /// <summary>
    /// Fills a row of angles for one position, each twice: <paramref name="cosines"/>[2i] = [2i+1] = cos, <paramref name="sines"/>[2i] = -sin,
    /// [2i+1] = sin. The product of position and frequency is taken in double precision, so that it is exact for any position.
    /// </summary>
    /// <param name="frequencies">[R / 2] where R is the number of rotated dimensions.</param>
    /// <param name="magnitude">What is rotated becomes so many times as long.</param>
    public static void Angles(int position, ReadOnlySpan<float> frequencies, Span<float> cosines, Span<float> sines, float magnitude = 1)
    {
        for (var i = 0; i < frequencies.Length; i++)
        {
            var (sin, cos) = Math.SinCos(position * (double)frequencies[i]);
            cosines[2 * i] = cosines[(2 * i) + 1] = (float)(cos * magnitude);
            sines[2 * i] = -(float)(sin * magnitude);
            sines[(2 * i) + 1] = (float)(sin * magnitude);
        }
    }

    /// <summary>Rotates the first R of the E dimensions of every head of x[B, heads, E], by cosines[B, R] and sines[B, R].</summary>
    public static void Rotate(ComputeThreads threads, Span<float> x, int heads, int headSize, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines)
    {
        var rows = RowJobs.Rows(x.Length, heads * headSize, nameof(x));
        if (cosines.Length != sines.Length) throw new ArgumentException($"{sines.Length} sines for {cosines.Length} cosines", nameof(sines));
        if (rows == 0) return;
        var rotated = cosines.Length / rows;
        if (rotated * rows != cosines.Length || rotated > headSize || rotated % 2 != 0)
            throw new ArgumentException($"{cosines.Length} cosines do not fit {rows} rows of heads of {headSize}", nameof(cosines));
        fixed (float* values = x, c = cosines, s = sines)
        {
            var job = new Job { Values = values, Cosines = c, Sines = s, Rows = rows, Heads = heads, HeadSize = headSize, Rotated = rotated };
            RowJobs.Run(threads, ref job, x.Length);
        }
    }

    struct Job : IComputeJob
    {
        public float* Values;
        public float* Cosines;
        public float* Sines;
        public int Rows;
        public int Heads;
        public int HeadSize;
        public int Rotated;

        public readonly void Run(int thread, int threads)
        {
            var end = RowJobs.Start(Rows * Heads, thread + 1, threads);
            for (var i = RowJobs.Start(Rows * Heads, thread, threads); i < end; i++)
            {
                var angles = (long)(i / Heads) * Rotated;
                RowMath.Chosen.Rotate(Values + ((long)i * HeadSize), Cosines + angles, Sines + angles, Rotated);
            }
        }
    }
}
