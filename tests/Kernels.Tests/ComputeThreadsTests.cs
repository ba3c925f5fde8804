namespace LlamaCluster.Kernels.Tests;

public sealed class ComputeThreadsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void Every_thread_does_its_part_of_every_job_once(int count)
    {
        using var threads = new ComputeThreads(count);
        var job = new CountJob { Counts = new int[count] };
        for (var i = 1; i <= 300; i++)
        {
            threads.Run(ref job);
            Assert.All(job.Counts, done => Assert.Equal(i, done));
        }
    }

    [Fact]
    public void Threads_that_fell_asleep_wake_up()
    {
        using var threads = new ComputeThreads(3);
        var job = new WhoJob { Threads = new Thread[3], Meeting = new Meeting(3) };
        for (var i = 0; i < 20; i++)
        {
            threads.Run(ref job);
            Assert.Equal(3, job.Threads.Distinct().Count());
            Assert.True(SpinWait.SpinUntil(() => threads.Sleepers == 2, TimeSpan.FromSeconds(20)), "the threads still spin");
        }
    }

    /// <summary>Threads that spin, that fall asleep and that wake meet jobs of all lengths.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void A_part_is_done_once_whether_its_thread_comes_in_time_or_not(int count)
    {
        using var threads = new ComputeThreads(count);
        var random = new Random(7);
        var job = new CountJob { Counts = new int[count] };
        for (var i = 1; i <= 3000; i++)
        {
            job.Turns = random.Next(3) * random.Next(3000);
            threads.Run(ref job);
            Assert.All(job.Counts, done => Assert.Equal(i, done));
            Thread.SpinWait(random.Next(3) * random.Next(3000));
        }
    }

    [Fact]
    public void The_job_comes_back_as_the_threads_left_it()
    {
        using var threads = new ComputeThreads(2);
        var job = new SumJob();
        threads.Run(ref job);
        Assert.Equal(2, job.Parts);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void An_exception_reaches_the_caller_after_all_are_done(int thrower)
    {
        using var threads = new ComputeThreads(3);
        var job = new ThrowingJob { Thrower = thrower, Done = new int[1] };

        var thrown = Assert.Throws<InvalidDataException>(() => threads.Run(ref job));

        Assert.Equal($"thread {thrower}", thrown.Message);
        Assert.Equal(2, job.Done[0]);
        var next = new CountJob { Counts = new int[3] };
        threads.Run(ref next);
        Assert.All(next.Counts, done => Assert.Equal(1, done));
    }

    [Fact]
    public void A_job_within_a_job_is_refused()
    {
        using var threads = new ComputeThreads(2);
        var job = new NestedJob { Threads = threads };
        Assert.Throws<InvalidOperationException>(() => threads.Run(ref job));
    }

    [Fact]
    public void Dispose_ends_the_threads()
    {
        var threads = new ComputeThreads(3);
        var job = new WhoJob { Threads = new Thread[3], Meeting = new Meeting(3) };
        threads.Run(ref job);

        threads.Dispose();

        Assert.Same(Thread.CurrentThread, job.Threads[0]);
        Assert.False(job.Threads[1].IsAlive || job.Threads[2].IsAlive);
        Assert.Throws<InvalidOperationException>(() => threads.Run(ref job));
    }

    [Fact]
    public void Running_a_job_allocates_nothing()
    {
        using var threads = new ComputeThreads(2);
        var job = new SumJob();
        threads.Run(ref job);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) threads.Run(ref job);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Pinned_threads_stay_on_one_processor()
    {
        if (!OperatingSystem.IsLinux()) return;
        var allowed = Processors.Allowed();
        using var threads = new ComputeThreads(3, pin: true);
        var job = new AffinityJob { Allowed = new int[3][], Meeting = new Meeting(3) };
        threads.Run(ref job);

        Assert.Equal(allowed, job.Allowed[0]);
        Assert.Equal([allowed[1 % allowed.Length]], job.Allowed[1]);
        Assert.Equal([allowed[2 % allowed.Length]], job.Allowed[2]);
    }

    [Fact]
    public void Shares_cover_everything_once()
    {
        foreach (var items in new[] { 0, 1, 5, 16, 17, 1000, int.MaxValue - 1 })
            foreach (var threads in new[] { 1, 2, 3, 7, 64 })
            {
                var next = 0;
                for (var thread = 0; thread < threads; thread++)
                {
                    var (first, end) = ComputeThreads.Share(items, thread, threads);
                    Assert.Equal(next, first);
                    Assert.InRange(end - first, items / threads, items / threads + 1);
                    next = end;
                }

                Assert.Equal(items, next);
            }
    }

    struct CountJob : IComputeJob
    {
        public int[] Counts;
        public int Turns;

        public readonly void Run(int thread, int threads)
        {
            Thread.SpinWait(Turns);
            Interlocked.Increment(ref Counts[thread]);
        }
    }

    struct SumJob : IComputeJob
    {
        public int Parts;

        public void Run(int thread, int threads) => Interlocked.Increment(ref Parts);
    }

    struct ThrowingJob : IComputeJob
    {
        public int Thrower;
        public int[] Done;

        public readonly void Run(int thread, int threads)
        {
            if (thread == Thrower) throw new InvalidDataException($"thread {thread}");
            Interlocked.Increment(ref Done[0]);
        }
    }

    struct NestedJob : IComputeJob
    {
        public ComputeThreads Threads;

        public readonly void Run(int thread, int threads)
        {
            var inner = new SumJob();
            if (thread == 0) Threads.Run(ref inner);
        }
    }

    struct WhoJob : IComputeJob
    {
        public Thread[] Threads;
        public Meeting Meeting;

        public readonly void Run(int thread, int threads)
        {
            Threads[thread] = Thread.CurrentThread;
            Meeting.Await();
        }
    }

    struct AffinityJob : IComputeJob
    {
        public int[][] Allowed;
        public Meeting Meeting;

        public readonly void Run(int thread, int threads)
        {
            Allowed[thread] = Processors.Allowed();
            Meeting.Await();
        }
    }

    /// <summary>Keeps each thread in its part until all have come, so that nobody does another's.</summary>
    sealed class Meeting(int threads)
    {
        readonly Barrier _barrier = new(threads);

        public void Await() => Assert.True(_barrier.SignalAndWait(TimeSpan.FromSeconds(20)), "a thread did not come");
    }
}
