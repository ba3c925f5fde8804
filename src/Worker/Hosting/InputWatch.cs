namespace LlamaCluster.Worker.Hosting;

/// <summary>
/// Notices that the process at the other end of stdin is gone. A pipe ends with the last process that can write to it, even if that process was
/// killed.
/// </summary>
public static class InputWatch
{
    /// <summary>Reads the stream on a thread of its own, throwing away what comes, and calls <paramref name="closed"/> once at its end.</summary>
    public static void Start(Stream input, Action closed) => new Thread(() =>
    {
        var buffer = new byte[256];
        try
        {
            while (input.Read(buffer) > 0) { }
        }
        finally
        {
            closed();
        }
    })
    { IsBackground = true, Name = "input watch" }.Start();
}
