using System.Runtime.CompilerServices;

namespace LlamaCluster.Testing;

/// <summary>No test waits for ever, and one that waited in vain says for what.</summary>
public static class WaitExtensions
{
    /// <summary>Far more than anything takes on a machine that does other things too; a test that passes never waits so long.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <exception cref="TimeoutException">It did not happen in time; the message says what was waited for.</exception>
    public static async Task<T> Soon<T>(this Task<T> task, [CallerArgumentExpression(nameof(task))] string what = "")
    {
        await Soon((Task)task, what);
        return await task;
    }

    /// <inheritdoc cref="Soon{T}"/>
    public static async Task Soon(this Task task, [CallerArgumentExpression(nameof(task))] string what = "")
    {
        try
        {
            await task.WaitAsync(Deadline);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            throw new TimeoutException($"after {Deadline.TotalSeconds} s still waiting for: {what}");
        }
    }
}
