using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>A thread that waits for storage, so that no other has to. It carries out jobs one after the other, in the order in which they came.</summary>
sealed partial class IoThread : IDisposable
{
    /// <summary>How long what is queued may take when the worker stops.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    readonly BlockingCollection<Action> _jobs;
    readonly Thread _thread;
    readonly ILogger _logger;

    public IoThread(string name, int capacity, ILogger logger)
    {
        (_jobs, _logger) = (new BlockingCollection<Action>(capacity), logger);
        _thread = new Thread(Work) { IsBackground = true, Name = name };
        _thread.Start();
    }

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
                job();
            }
            catch (Exception e)
            {
                LogBroke(e, _thread.Name!);   // a bug costs this job; the thread serves all others
            }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The thread of {Name} still has {Jobs} jobs after {Seconds} s; they are left")]
    partial void LogLeft(string name, int jobs, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "A job of {Name} broke")]
    partial void LogBroke(Exception exception, string name);
}
