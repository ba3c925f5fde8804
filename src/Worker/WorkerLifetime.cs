namespace LlamaCluster.Worker;

/// <summary>
/// The end of the worker, in two steps: it is leaving (the coordinator is told, steps still run), then it closes its streams. The web
/// host's own tokens come too early for the first or, waiting for streams to end by themselves, too late for the second.
/// </summary>
sealed class WorkerLifetime : IDisposable
{
    readonly CancellationTokenSource _closing = new();
    volatile bool _leaving;

    public bool IsLeaving => _leaving;

    /// <summary>Cancelled when long-lived streams and loading must end.</summary>
    public CancellationToken Closing => _closing.Token;

    public void Leave() => _leaving = true;

    public void Close() => _closing.Cancel();

    public void Dispose() => _closing.Dispose();
}
