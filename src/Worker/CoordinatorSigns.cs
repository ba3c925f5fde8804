namespace LlamaCluster.Worker;

/// <summary>
/// Signs of life of one coordinator: its calls, every message of its streams of steps, and its answers to heartbeats. A busy coordinator may come to
/// heartbeats much later than to steps, and is not gone for that. Safe for concurrent use.
/// </summary>
sealed class CoordinatorSigns(TimeProvider time)
{
    /// <summary>
    /// What has not been answered for so many timeouts never will be, whatever else is heard. With the usual timeout of 8 s it is as long as a
    /// step may take.
    /// </summary>
    public const int MostTimeouts = 15;

    long _lastHeard = time.GetTimestamp();

    /// <summary>How long nothing has been heard.</summary>
    public TimeSpan Silence => time.GetElapsedTime(Volatile.Read(ref _lastHeard));

    /// <summary>Something has come from it. Cheap.</summary>
    public void Heard() => Volatile.Write(ref _lastHeard, time.GetTimestamp());

    /// <summary>Waits for an answer of the coordinator for as long as it gives signs of life.</summary>
    /// <param name="timeout">The longest silence, counted from now at the earliest.</param>
    /// <exception cref="TimeoutException">It was silent for too long, or only this answer did not come (<see cref="MostTimeouts"/>).</exception>
    public async Task<T> WaitAsync<T>(Task<T> answer, TimeSpan timeout, CancellationToken cancellation)
    {
        var begun = time.GetTimestamp();
        while (!answer.IsCompleted)
        {
            var waited = time.GetElapsedTime(begun);
            var silent = Silence < waited ? Silence : waited;
            if (silent >= timeout) throw new TimeoutException($"nothing was heard of it for {timeout.TotalSeconds:0.###} s");
            if (waited >= MostTimeouts * timeout) throw new TimeoutException($"it answered no heartbeat for {waited.TotalSeconds:0.###} s");
            var (untilSilent, untilStuck) = (timeout - silent, MostTimeouts * timeout - waited);
            var left = untilSilent < untilStuck ? untilSilent : untilStuck;
            try
            {
                return await answer.WaitAsync(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), time, cancellation);
            }
            catch (TimeoutException) when (!answer.IsFaulted)
            {
                // Something may have been heard meanwhile.
            }
        }
        return await answer;
    }
}
