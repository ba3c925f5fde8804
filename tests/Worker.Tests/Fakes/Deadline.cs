namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>No test waits longer; a wait that takes so long has failed.</summary>
static class Deadline
{
    static readonly TimeSpan Wait = TimeSpan.FromSeconds(30);

    public static DateTime Call => DateTime.UtcNow + Wait;

    public static async Task<T> Within<T>(Task<T> task, string what, Func<string>? more = null)
    {
        try
        {
            return await task.WaitAsync(Wait);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"waited {Wait.TotalSeconds} s for {what}{more?.Invoke()}");
        }
    }

    public static async Task Within(Task task, string what)
    {
        try
        {
            await task.WaitAsync(Wait);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"waited {Wait.TotalSeconds} s for {what}");
        }
    }
}
