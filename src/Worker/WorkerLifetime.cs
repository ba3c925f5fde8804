namespace LlamaCluster.Worker;

/// <summary>
/// The end of the worker, in two steps. First it is leaving: the coordinator is told, and steps still run. Then it closes its streams. The web
/// host's own tokens do not fit: one comes before the first step, the other only after all streams have ended by themselves.
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
