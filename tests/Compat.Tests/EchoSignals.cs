namespace LlamaCluster.Compat.Tests;

/// <summary>Named points that tests wait for.</summary>
sealed class EchoSignals
{
    public TaskCompletionSource HangStarted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource HangCancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
