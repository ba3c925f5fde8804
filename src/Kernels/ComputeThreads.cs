using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace LlamaCluster.Kernels;

/// <summary>
/// A fixed set of threads that do one job at a time together: the caller's thread is thread 0, the others are parked between
/// jobs. They spin a few microseconds for the next job, for the jobs of a forward pass follow each other closely, and then sleep;
/// with more threads than processors they sleep at once. Running a job allocates nothing.
/// </summary>
public sealed unsafe class ComputeThreads : IDisposable
{
    readonly Thread[] _threads;
    readonly object _work = new();
    readonly object _done = new();
    readonly int _spins;
    delegate*<void*, int, int, void> _run;
    void* _job;
    volatile int _generation;
    volatile int _running;
    int _sleepers;
    int _entered;
    volatile bool _callerSleeps;
    volatile bool _stopping;
    ExceptionDispatchInfo? _failure;

    /// <param name="count">Threads that share a job, the caller's among them; at least 1.</param>
    /// <param name="pin">Hold each thread but the caller's on a processor of its own (Linux), the first being left to the caller.</param>
    public ComputeThreads(int count, bool pin = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Count = count;
        _spins = count <= Environment.ProcessorCount ? 200 : 0;
        var processors = pin ? Processors.Allowed() : [];
        _threads = new Thread[count - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var index = i + 1;
            var processor = processors.Length > 0 ? processors[index % processors.Length] : -1;
            _threads[i] = new Thread(() => Serve(index, processor)) { IsBackground = true, Name = $"compute {index}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that share a job, the caller's among them.</summary>
    public int Count { get; }

    /// <summary>
    /// Runs the job on all threads and returns when every one of them is done. One caller at a time.
    /// The job is copied in and out, so a managed or moving reference to it is fine.
    /// </summary>
    /// <exception cref="InvalidOperationException">A job is running already.</exception>
    /// <exception cref="Exception">Whatever a thread's part threw first, after all of them ended.</exception>
    public void Run<TJob>(ref TJob job) where TJob : struct, IComputeJob
    {
        ObjectDisposedException.ThrowIf(_stopping, this);
        if (Interlocked.Exchange(ref _entered, 1) != 0) throw new InvalidOperationException("these compute threads are running another job");
        try
        {
            var own = job;
            if (_threads.Length == 0) own.Run(0, 1);
            else RunTogether(Unsafe.AsPointer(ref own), &Invoke<TJob>);
            job = own;
        }
        finally
        {
            Volatile.Write(ref _entered, 0);
        }
    }

    /// <summary>One thread's part of <paramref name="items"/> things that cost alike: a range, in order, nearly equal for all threads.</summary>
    public static (int First, int End) Share(int items, int thread, int threads) =>
        ((int)((long)items * thread / threads), (int)((long)items * (thread + 1) / threads));

    static void Invoke<TJob>(void* job, int thread, int threads) where TJob : struct, IComputeJob =>
        Unsafe.AsRef<TJob>(job).Run(thread, threads);

    void RunTogether(void* job, delegate*<void*, int, int, void> run)
    {
        _job = job;
        _run = run;
        _failure = null;
        _callerSleeps = false;
        _running = _threads.Length;
        Interlocked.Increment(ref _generation);
        if (Volatile.Read(ref _sleepers) > 0)
            lock (_work) Monitor.PulseAll(_work);
        Part(0);
        AwaitOthers();
        _failure?.Throw();
    }

    void Part(int thread)
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

    void AwaitOthers()
    {
        for (var i = 0; i < _spins && _running != 0; i++) Thread.SpinWait(4);
        if (_running == 0) return;
        lock (_done)
        {
            _callerSleeps = true;
            Interlocked.MemoryBarrier();
            while (_running != 0) Monitor.Wait(_done);
        }
    }

    void Serve(int thread, int processor)
    {
        if (processor >= 0) Processors.TryPin(processor);
        var seen = 0;
        while (true)
        {
            AwaitWork(seen);
            seen++;
            if (_stopping) return;
            Part(thread);
            if (Interlocked.Decrement(ref _running) == 0 && _callerSleeps)
                lock (_done) Monitor.Pulse(_done);
        }
    }

    void AwaitWork(int seen)
    {
        for (var i = 0; i < _spins && _generation == seen; i++) Thread.SpinWait(4);
        if (_generation != seen) return;
        lock (_work)
        {
            Interlocked.Increment(ref _sleepers);
            while (_generation == seen) Monitor.Wait(_work);
            Interlocked.Decrement(ref _sleepers);
        }
    }

    /// <summary>Ends the threads; no job may be running.</summary>
    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        Interlocked.Increment(ref _generation);
        lock (_work) Monitor.PulseAll(_work);
        foreach (var thread in _threads) thread.Join();
    }
}
