using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A place in the code under test where a test wants to be sure to be, and then to go on from.</summary>
sealed class SyncPoint
{
    readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The test waits until the code is there.</summary>
    public Task Reached => _reached.Task.Soon("the sync point is reached");

    /// <summary>The code waits here until the test lets it go; once it has, others pass without a stop.</summary>
    public Task PassAsync()
    {
        _reached.TrySetResult();
        return _go.Task;
    }

    public void Go() => _go.TrySetResult();
}
