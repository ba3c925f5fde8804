namespace LlamaCluster.Kernels.Elementwise;

/// <summary>How work on single rows or numbers is shared out: in even contiguous parts, and not at all where it is too little.</summary>
static class RowJobs
{
    /// <summary>About what one thread does in the time that waking another takes.</summary>
    const int NumbersWorthSharing = 16 * 1024;

    public static void Run<TJob>(ComputeThreads threads, ref TJob job, int numbers)
        where TJob : struct, IComputeJob
    {
        if (numbers < NumbersWorthSharing) job.Run(0, 1);
        else threads.Run(ref job);
    }

    /// <summary>Where a thread's part of <paramref name="count"/> items begins; the next thread's beginning is its end.</summary>
    public static int Start(int count, int thread, int threads) => (int)((long)count * thread / threads);

    /// <summary>How many rows of <paramref name="length"/> numbers these are.</summary>
    public static int Rows(int numbers, int length, string name)
    {
        var (rows, rest) = Math.DivRem(numbers, length);
        return rest == 0 ? rows : throw new ArgumentException($"{numbers} numbers are not whole rows of {length}", name);
    }
}
