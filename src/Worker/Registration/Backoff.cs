namespace LlamaCluster.Worker.Registration;

/// <summary>Pauses between attempts: from a fifth of a second, doubling, to five seconds; a random fifth of each is left out, so that many workers do not call at once.</summary>
sealed class Backoff(Random random)
{
    static readonly TimeSpan Shortest = TimeSpan.FromSeconds(0.2);
    static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    TimeSpan _next = Shortest;

    public TimeSpan Next()
    {
        var pause = _next * (1 - random.NextDouble() / 5);
        _next = _next * 2 > Longest ? Longest : _next * 2;
        return pause;
    }

    /// <summary>It worked: the next failure is a first one.</summary>
    public void Reset() => _next = Shortest;
}
