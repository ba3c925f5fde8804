namespace LlamaCluster.Kernels;

/// <summary>
/// Items that threads share. Each has a range of its own, in the order of the threads, and takes pieces from its beginning, large ones first; who is through
/// takes from the end of another's. So what a thread takes mostly follows what it took before, which is how memory is read fastest, and all finish together
/// though one may be held up. Allocates nothing after it is made.
/// </summary>
/// <param name="threads">How many there are at most.</param>
sealed class SharedRanges(int threads)
{
    /// <summary>From one thread's range to the next one's: no two are in one line of a cache, nor in two that are fetched together.</summary>
    const int Stride = 128 / sizeof(long);

    /// <summary>What is left of each range: its first item and the one after its last, in the upper and the lower half.</summary>
    readonly long[] _left = new long[Stride * (threads + 1)];

    int _threads;

    /// <summary>Gives each of some threads its range of items 0 .. <paramref name="items"/> - 1. Nobody takes meanwhile.</summary>
    public void ShareOut(int items, int among)
    {
        _threads = among;
        for (var thread = 0; thread < among; thread++)
        {
            var (first, end) = ComputeThreads.Share(items, thread, among);
            Volatile.Write(ref Left(thread), Packed(first, end));
        }
    }

    /// <summary>Takes half of what is left of the thread's own range, or of another's.</summary>
    /// <param name="smallest">Not fewer than this, unless fewer are left.</param>
    /// <returns>False: no items are left.</returns>
    public bool TryTake(int thread, int smallest, out int first, out int end)
    {
        if (TryTake(ref Left(thread), smallest, fromEnd: false, out first, out end)) return true;
        for (var next = 1; next < _threads; next++)
            if (TryTake(ref Left((thread + next) % _threads), smallest, fromEnd: true, out first, out end)) return true;
        return false;
    }

    static bool TryTake(ref long left, int smallest, bool fromEnd, out int first, out int end)
    {
        while (true)
        {
            var before = Volatile.Read(ref left);
            (first, end) = ((int)(before >> 32), (int)before);
            if (first >= end) return false;
            var count = Math.Min(end - first, Math.Max(smallest, (end - first) / 2));
            var after = fromEnd ? Packed(first, end - count) : Packed(first + count, end);
            if (fromEnd) first = end - count;
            else end = first + count;
            if (Interlocked.CompareExchange(ref left, after, before) == before) return true;
        }
    }

    static long Packed(int first, int end) => (long)first << 32 | (uint)end;

    ref long Left(int thread) => ref _left[Stride * (thread + 1)];
}
