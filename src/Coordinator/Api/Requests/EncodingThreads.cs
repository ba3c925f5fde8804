using System.Collections.Concurrent;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Threads that only encode prompts. A chat template is not trusted and may compute for seconds; on threads of the pool, a few such prompts
/// would keep heartbeats, health and streams from theirs.
/// </summary>
sealed class EncodingThreads : IDisposable
{
    readonly BlockingCollection<Action> _work = [];

    /// <param name="count">The most that is done at a time. Who asks for more waits without a bound, so let no more in.</param>
    public EncodingThreads(int count)
    {
        for (var i = 0; i < count; i++) new Thread(Run) { IsBackground = true, Name = $"encoding {i}" }.Start();
    }

    /// <summary>Does the work on one of the threads. It ends itself by its own cancellation, so that nothing runs on that nobody waits for.</summary>
    public Task<T> RunAsync<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            try
            {
                done.SetResult(work());
            }
            catch (OperationCanceledException cancelled)
            {
                done.SetCanceled(cancelled.CancellationToken);
            }
            catch (Exception failure)
            {
                done.SetException(failure);
            }
        });
        return done.Task;
    }

    /// <summary>What was begun is done to its end.</summary>
    public void Dispose() => _work.CompleteAdding();

    void Run()
    {
        foreach (var work in _work.GetConsumingEnumerable()) work();
    }
}
