using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>A thread that waits for storage, so that no other has to. It carries out jobs one after the other, in the order in which they came.</summary>
sealed partial class IoThread : IDisposable
{
    const long Nothing = long.MinValue;

    /// <summary>How long what is queued may take when the worker stops.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    readonly BlockingCollection<Action> _jobs;
    readonly Thread _thread;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    long _since = Nothing;   // a timestamp, while a job waits for storage

    public IoThread(string name, int capacity, TimeProvider time, ILogger logger)
    {
        (_jobs, _time, _logger) = (new BlockingCollection<Action>(capacity), time, logger);
        _thread = new Thread(Work) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>How long storage has not answered; zero while nothing waits for it. From any thread.</summary>
    public TimeSpan Silence => Volatile.Read(ref _since) is var since && since == Nothing ? TimeSpan.Zero : _time.GetElapsedTime(since);

    /// <summary>A job turns to storage, or storage has answered it and it turns there again. On the thread; each job begins so.</summary>
    public void BeginWait() => Volatile.Write(ref _since, _time.GetTimestamp());

    /// <summary>A job waits for something else than storage. On the thread.</summary>
    public void EndWait() => Volatile.Write(ref _since, Nothing);

    /// <summary>Does not wait.</summary>
    /// <returns>False if the queue is full, or the thread is stopping.</returns>
    public bool TryPost(Action job)
    {
        try
        {
            return _jobs.TryAdd(job);
        }
        catch (InvalidOperationException)
        {
            return false;   // it takes none any more
        }
    }

    /// <summary>Carries out what is queued, and ends.</summary>
    public void Dispose()
    {
        _jobs.CompleteAdding();
        if (!_thread.Join(Patience)) LogLeft(_thread.Name!, _jobs.Count, Patience.TotalSeconds);
    }

    void Work()
    {
        foreach (var job in _jobs.GetConsumingEnumerable())
            try
            {
                BeginWait();
                job();
            }
            catch (Exception e)
            {
                LogBroke(e, _thread.Name!);   // a bug costs this job; the thread serves all others
            }
            finally
            {
                EndWait();
            }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The thread of {Name} still has {Jobs} jobs after {Seconds} s; they are left")]
    partial void LogLeft(string name, int jobs, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "A job of {Name} broke")]
    partial void LogBroke(Exception exception, string name);
}
