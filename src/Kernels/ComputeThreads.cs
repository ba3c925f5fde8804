using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels;

/// <summary>Work that <see cref="ComputeThreads"/> share. A struct, so that running it allocates nothing.</summary>
public interface IComputeJob
{
    /// <summary>Does this thread's part.</summary>
    /// <param name="thread">
    /// Whose part: 0 .. <paramref name="threads"/> - 1; 0 is the caller of <see cref="ComputeThreads.Run"/>, who may do others' parts after its own.
    /// </param>
    /// <param name="threads">How many threads share the job.</param>
    void Run(int thread, int threads);
}

/// <summary>
/// A fixed set of threads that do one job at a time together: the caller's thread is thread 0, the others are parked between
/// jobs. Whoever waits spins for some microseconds, for the jobs of a forward pass follow each other closely, and then sleeps;
/// with more threads than processors it sleeps at once. A thread that has not come by the time the caller is done, because it takes
/// long to wake or something else has its processor, finds its part done by the caller. Running a job allocates nothing.
/// </summary>
public sealed unsafe class ComputeThreads : IDisposable
{
    static readonly TimeSpan SpinTime = TimeSpan.FromMicroseconds(20);

    readonly Thread[] _threads;
    readonly object _work = new();
    readonly object _done = new();
    readonly long _spinTicks;

    delegate*<void*, int, int, void> _run;
    void* _job;
    ExceptionDispatchInfo? _failure;

    /// <summary>Jobs given out so far, and so the number of the last one; a thread that has seen fewer has work.</summary>
    volatile int _given;

    /// <summary>For each thread, the last job whose part was begun, by itself or by the caller in its place.</summary>
    readonly int[] _begun;

    /// <summary>Threads that have not done their part of the last job.</summary>
    volatile int _running;

    volatile int _sleepers;

    /// <summary>For each thread, where the memory begins that it will read first in the job after the present one; null where that is not known.</summary>
    readonly nint[] _ahead;

    volatile bool _callerSleeps;
    volatile bool _stopping;

    /// <summary>1 while a job runs, and for ever after <see cref="Dispose"/>.</summary>
    int _taken;

    /// <param name="count">Threads that share a job, the caller's among them; at least 1.</param>
    /// <param name="pin">Hold each thread but the caller's on a processor of its own (Linux), the first being left to the caller.</param>
    public ComputeThreads(int count, bool pin = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Count = count;
        _spinTicks = count <= Environment.ProcessorCount ? (long)(SpinTime.TotalSeconds * Stopwatch.Frequency) : 0;
        var processors = pin ? Processors.Allowed() : [];
        _threads = new Thread[count - 1];
        (_ahead, _begun) = (new nint[count], new int[count]);
        Ranges = new SharedRanges(count);
        for (var i = 0; i < _threads.Length; i++)
        {
            var number = i + 1;
            var processor = processors.Length > 0 ? processors[number % processors.Length] : -1;
            _threads[i] = new Thread(() => Serve(number, processor)) { IsBackground = true, Name = $"compute {number}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that share a job, the caller's among them.</summary>
    public int Count { get; }

    /// <summary>For the job that runs, whose items they may share.</summary>
    internal SharedRanges Ranges { get; }

    /// <summary>Threads that wait for work in their sleep.</summary>
    internal int Sleepers => _sleepers;

    /// <summary>One thread's part of <paramref name="items"/> things that cost alike: a range, in order, nearly equal for all threads.</summary>
    public static (int First, int End) Share(int items, int thread, int threads) =>
        ((int)((long)items * thread / threads), (int)((long)items * (thread + 1) / threads));

    /// <summary>
    /// Runs the job on all threads and returns when every one of them is done. One caller at a time.
    /// The job is copied in and out, so a managed or moving reference to it is fine.
    /// </summary>
    /// <exception cref="InvalidOperationException">A job is running already, or the threads have been ended.</exception>
    /// <exception cref="Exception">Whatever a thread's part threw first, after all of them are done.</exception>
    public void Run<TJob>(ref TJob job) where TJob : struct, IComputeJob
    {
        Take();
        try
        {
            var own = job;
            if (_threads.Length == 0) own.Run(0, 1);
            else RunTogether(Unsafe.AsPointer(ref own), &RunPart<TJob>);
            job = own;
        }
        finally
        {
            Volatile.Write(ref _taken, 0);
        }
    }

    /// <summary>Says where a thread will begin to read in the job after the next one, so that it can fetch that while it waits.</summary>
    internal void WillRead(int thread, byte* memory) => _ahead[thread] = (nint)memory;

    /// <summary>Ends the threads.</summary>
    /// <exception cref="InvalidOperationException">A job is running.</exception>
    public void Dispose()
    {
        if (_stopping) return;
        Take();
        _stopping = true;
        Give();
        foreach (var thread in _threads) thread.Join();
    }

    void Take()
    {
        if (Interlocked.Exchange(ref _taken, 1) == 0) return;
        throw new InvalidOperationException(_stopping ? "these compute threads have been ended" : "these compute threads are running a job");
    }

    static void RunPart<TJob>(void* job, int thread, int threads) where TJob : struct, IComputeJob =>
        Unsafe.AsRef<TJob>(job).Run(thread, threads);

    void RunTogether(void* job, delegate*<void*, int, int, void> run)
    {
        _job = job;
        _run = run;
        _failure = null;
        _callerSleeps = false;
        _running = _threads.Length;
        var number = Give();
        RunGuarded(0);
        for (var thread = 1; thread < Count; thread++)
        {
            if (!TryBegin(thread, number)) continue;
            RunGuarded(thread);
            Interlocked.Decrement(ref _running);
        }
        AwaitOthers();
        _failure?.Throw();
    }

    /// <summary>Claims a thread's part of a job. Who has claimed it does it, and the job is not over before.</summary>
    /// <returns>False: it has been begun, and the job may be over.</returns>
    bool TryBegin(int thread, int number)
    {
        var last = Volatile.Read(ref _begun[thread]);
        return number - last > 0 && Interlocked.CompareExchange(ref _begun[thread], number, last) == last;
    }

    /// <summary>An exception is kept for the caller: no part may be left running with a job that is gone.</summary>
    void RunGuarded(int thread)
    {
        try
        {
            _run(_job, thread, Count);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
        }
    }

    /// <summary>
    /// The count goes up before the sleepers are looked at, and a thread counts as sleeper before it looks at the count: one of them sees the other.
    /// </summary>
    /// <returns>The job's number.</returns>
    int Give()
    {
        var number = Interlocked.Increment(ref _given);
        if (_sleepers == 0) return number;
        lock (_work) Monitor.PulseAll(_work);
        return number;
    }

    void Serve(int thread, int processor)
    {
        if (processor >= 0) Processors.TryPin(processor);
        ReadAhead ahead = default;
        for (var number = 0; ;)
        {
            number = AwaitWork(thread, number, ref ahead);
            if (_stopping) return;
            if (!TryBegin(thread, number)) continue;
            RunGuarded(thread);
            if (Interlocked.Decrement(ref _running) == 0 && _callerSleeps)
                lock (_done) Monitor.Pulse(_done);
        }
    }

    /// <returns>The number of the last job given.</returns>
    int AwaitWork(int thread, int seen, ref ReadAhead ahead)
    {
        for (var start = Stopwatch.GetTimestamp(); _given == seen && Stopwatch.GetTimestamp() - start < _spinTicks;)
            if (!ahead.Continue((byte*)_ahead[thread])) Thread.SpinWait(1);
        if (_given != seen) return _given;
        lock (_work)
        {
            Interlocked.Increment(ref _sleepers);
            while (_given == seen) Monitor.Wait(_work);
            Interlocked.Decrement(ref _sleepers);
        }
        return _given;
    }

    void AwaitOthers()
    {
        ReadAhead ahead = default;
        for (var start = Stopwatch.GetTimestamp(); _running != 0 && Stopwatch.GetTimestamp() - start < _spinTicks;)
            if (!ahead.Continue((byte*)_ahead[0])) Thread.SpinWait(1);
        if (_running == 0) return;
        lock (_done)
        {
            _callerSleeps = true;
            Interlocked.MemoryBarrier();
            while (_running != 0) Monitor.Wait(_done);
        }
    }
}

/// <summary>
/// What one waiting thread fetches into its cache: the weights that its part of the next product begins with. Between two products little is computed,
/// mostly by one thread; memory would lie idle meanwhile.
/// </summary>
unsafe struct ReadAhead
{
    /// <summary>A fraction of a core's second cache, and about what memory gives in the time between two products.</summary>
    const int MaxBytes = 256 * 1024;

    const int LineBytes = 64;
    const int LinesAtOnce = 8;

    byte* _begin;
    byte* _next;

    /// <summary>Fetches a little more of what begins at <paramref name="begin"/>.</summary>
    /// <param name="begin">Null: nothing. An address that is not valid any more does no harm.</param>
    /// <returns>False if there is nothing left to fetch.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Continue(byte* begin)
    {
        if (begin is null || !Sse.IsSupported) return false;
        if (begin != _begin) _begin = _next = begin;
        if (_next >= begin + MaxBytes) return false;
        for (var i = 0; i < LinesAtOnce; i++, _next += LineBytes) Sse.Prefetch1(_next);
        return true;
    }
}
